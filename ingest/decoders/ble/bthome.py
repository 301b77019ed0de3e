"""BTHome, the open format for Bluetooth sensors: b-parasite, Shelly BLU, thermometers with ATC firmware, ESPHome.

`POST /ingest/DEVICE?decoder=bthome` with the service data of 0xFCD2 (version 2) or of 0x181C and 0x181E (version 1),
as bytes or in hexadecimal; or the whole advert, or HCI event, that carries it. The device is the MAC address in the
data or of the event, else that of the path; in an event, another one in the path is the gateway that heard it.

    40 00 09 01 5d 02 5d 09 03 b7 18      packet 9, battery 93 %, 23.97 °C, 63.27 %

Encrypted data needs the key: `?bindkey=HEX` (32 digits), and the sender's address, in the path, the data or
`?address=`; without them it is rejected as `encrypted`.

Out: BTHome's names (`temperature`, `humidity`, `pressure` hPa, `battery`, `mass`, `carbon_dioxide`, `pm25`, `voltage`
…), numbered where one is there more than once (`temperature_1`); truths such as `door`, `motion`, and
`binary.battery` (low), `binary.power`, `binary.gas`, `binary.moisture`. `unit.mass` lb, `unit.distance` mm,
`unit.volume` ml where those are not kg, m, l. Presses are events: `button` press, double_press, long_press …,
`dimmer` rotate_left with `dimmer.steps`.

Formats: bthome.io/format, bthome.io/encryption, bthome.io/v1.
"""

import re
from collections.abc import Sequence

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.ble.advert import Advert, plain_address, read_ad, read_hci
from ingest.decoders.ble.crypto import keys_of
from ingest.decoders.ble.makers.bthome import version_1, version_1_encrypted, version_2
from ingest.decoders.ble.reading import Key, Reading
from ingest.decoders.draft import Draft
from ingest.decoders.trackers.reading import asked

SERVICES = ("fcd2", "181c", "181e")
_HEX = re.compile(rb"(?:0[xX])?[0-9A-Fa-f\s:]{4,}")
_UUIDS = {b"\xd2\xfc": "fcd2", b"\x1c\x18": "181c", b"\x1e\x18": "181e"}
_HAPPENS = ("button", "dimmer")
_MOST = 4096


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message, or one for each advert of an event; raises `Rejected`."""
    data = _bytes(payload.data)
    if not data:
        return ()
    key = keys_of(payload)
    adverts = _adverts(data)
    if not adverts:
        address = _address(payload)
        reading = _service_data(address, data, key, asked(payload.source).get("uuid", ""))
        return (_message(payload, reading, _same(payload.source.device or address, reading.address)),)
    made: list[Message | Rejected] = []
    for advert in adverts:
        try:
            made.append(_from_advert(payload, advert, key))
        except Rejected as error:
            made.append(error)
    return made


def _bytes(data: bytes) -> bytes:
    """Hexadecimal digits as the bytes that they are."""
    if len(data) > _MOST:
        raise Rejected("too_large", f"an advert has at most {_MOST} bytes")
    if _HEX.fullmatch(data):
        digits = data.removeprefix(b"0x").removeprefix(b"0X").translate(None, b" \t\r\n\v\f:")
        if len(digits) % 2 == 0:
            return bytes.fromhex(digits.decode())
    return data


def _adverts(data: bytes) -> Sequence[Advert]:
    """What it carries, if it is an event or an advert with BTHome in it."""
    if data[:2] == b"\x04\x3e":
        return read_hci(data)
    advert = read_ad(data) if len(data) <= 1650 else Advert()
    return (advert,) if any(uuid in advert.service_data for uuid in SERVICES) else ()


def _from_advert(payload: Payload, advert: Advert, key: Key) -> Message:
    uuid = next((uuid for uuid in SERVICES if uuid in advert.service_data), "")
    if not uuid:
        raise Rejected("unsupported", "there is no service data of BTHome's in this advert")
    address = advert.address or _address(payload)
    reading = _service_data(address, advert.service_data[uuid], key, uuid)
    device = reading.address or address
    gateway = payload.source.device if advert.address and _address(payload) != device else ""
    own = device if gateway or not payload.source.device else _same(payload.source.device, device)
    return _message(payload, reading, own, advert, gateway)


def _address(payload: Payload) -> str:
    return plain_address(asked(payload.source).get("address", "")) or plain_address(payload.source.device)


def _same(device: str, address: str) -> str:
    """The path's own spelling of an address, where it is that one."""
    return device if device and (not address or plain_address(device) == address) else address or device


def _service_data(address: str, data: bytes, key: Key, uuid: str) -> Reading:
    """By the service's UUID, or, if that is not known, by what fits."""
    if data[:2] in _UUIDS and not uuid:
        uuid, data = _UUIDS[data[:2]], data[2:]
    match uuid.lower().removeprefix("0x"):
        case "fcd2":
            return version_2(address, data, key)
        case "181c":
            return version_1(data)
        case "181e":
            return version_1_encrypted(address, data, key)
        case _:
            return _by_form(address, data, key)


def _by_form(address: str, data: bytes, key: Key) -> Reading:
    """Version 2 begins with 40 to 47; version 1 with the length of its first object, which may be the same."""
    first: Rejected | None = None
    if data and data[0] >> 5 == 2:
        try:
            return version_2(address, data, key)
        except Rejected as refusal:
            first = refusal
    try:
        return version_1(data)
    except Rejected as refusal:
        first = first or refusal
    if address and key(address):
        try:
            return version_1_encrypted(address, data, key)
        except Rejected as refusal:
            if first.reason != "encrypted":
                first = refusal
    raise first


def _message(
    payload: Payload, reading: Reading, device: str, advert: Advert | None = None, gateway: str = ""
) -> Message:
    draft = Draft(payload, device)
    for name, value in reading.values.items():
        if value is None:
            draft.note(name, "neither a finite number nor UTF-8")
        else:
            draft.put(name, value)
    if any(name.startswith(_HAPPENS) for name in reading.values):
        draft.kind = "event"
    if isinstance(reading.packet, int) and "packet_id" not in reading.values:
        draft.seq = reading.packet  # that of the encryption: 32 bits; a packet id begins anew after 255
    draft.put("firmware", reading.firmware)
    if advert is not None:
        draft.put("rssi", advert.rssi)
        draft.put("local_name", advert.local_name)
    if gateway:
        draft.heard_by.append(Heard(gateway, None if advert is None else advert.rssi))
    if not draft.fields and set(draft.texts) <= {"firmware", "local_name"}:
        raise Rejected("no_fields", "BTHome: nothing happened, and there is no value in it")
    return draft.message()
