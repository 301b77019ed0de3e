"""Raw Bluetooth adverts, of about sixty makers: what a scanner hands on without having understood it.

A gateway, or any computer with a radio, sends what it hears: whole HCI events (`04 3e …`, LE advertising report or
extended one), bare AD structures, or either as hex text. Each advert becomes one message of the tag that sent it, by
its MAC address; the sender of the payload is the gateway in `heard_by`, with the signal strength.

Over MQTT on `ble/GATEWAY/hci`, over HTTP `POST /ingest/GATEWAY?decoder=ble_hci_adv`; HCI events are recognised
without either. For bare AD structures, which do not say who speaks, name the tag instead of the gateway. Adverts
under lock (Xiaomi MiBeacon 4 and 5, encrypted BTHome, pvvx) need the key once, as `?bindkey=` of a request; it is
remembered for its address as long as the process runs. Without it they are rejected as `encrypted`.

Out: the values that the maker's format has (`ingest/decoders/ble/makers/`): `temperature` °C, `humidity` %,
`pressure` hPa, `battery` %, `voltage` V, `motion`, `button` …; texts `type` and `model`, `manufacturer`, `firmware`
(maker and format), `mac`, `local_name`; `rssi` dBm; `packet`, a counter or bytes, which is `seq` where it
counts further than 255 (EnOcean, Efento, Ruuvi, encrypted BTHome). Presses and locks are of kind `event`.

Example, hex text: `043e1d02010000f4830238c1a41110161a18a4c1380283f400a22f5f0bf819df` (blanks are skipped):
16.2 °C, 47 %, 3.064 V, battery 95 %, heard with −33 dBm.
"""

import re
from collections.abc import Sequence

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.ble.advert import Advert, plain_address, read_ad, read_hci
from ingest.decoders.ble.crypto import keys_of
from ingest.decoders.ble.known import read
from ingest.decoders.ble.reading import Key, Reading
from ingest.decoders.draft import Draft

_HEX = re.compile(rb"[0-9A-Fa-f\s:]{8,7000}")
_HAPPENS = frozenset({"button", "button_switch", "dimmer", "remote", "action", "door_action", "fingerprint"})
_FAR = ("EnOcean", "Efento", "Ruuvitag V5", "Ruuvitag V8", "Ruuvitag VE1")
_MOST = 64 * 1024


def recognises(data: bytes) -> bool:
    """An HCI event of adverts, whole."""
    return data[:2] == b"\x04\x3e" and len(data) > 3 and len(data) == data[2] + 3 and data[3] in {0x02, 0x0D}


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message an advert; what one of them cannot be does not hold up the others."""
    data = payload.data
    if not data:
        return ()
    if len(data) > _MOST:
        raise Rejected("too_large", f"a payload of adverts has at most {_MOST} bytes")
    if _HEX.fullmatch(data):
        data = _from_hex(data)
    is_event = data[:2] == b"\x04\x3e" or (data[:1] == b"\x3e" and data[1:2] == bytes((len(data) - 2 & 0xFF,)))
    adverts = read_hci(data) if is_event else [_bare(data, payload)]
    key = keys_of(payload)
    found: list[Message | Rejected] = []
    for advert in adverts:
        try:
            found.append(_message(payload, advert, key))
        except Rejected as error:
            found.append(error)
    return found


def _from_hex(text: bytes) -> bytes:
    digits = text.translate(None, b" \t\r\n\v\f:")
    if len(digits) % 2:
        raise Rejected("bad_shape", f"hex text has two digits a byte; this has {len(digits)} digits")
    return bytes.fromhex(digits.decode())


def _bare(data: bytes, payload: Payload) -> Advert:
    """AD structures must fill the payload, so that not just any bytes pass for an advert."""
    advert = read_ad(data, payload.source.device)
    used = sum(len(body) + 2 for _, body in advert.structures)
    if not advert.structures or data[used:].strip(b"\0"):
        raise Rejected("bad_shape", "these are neither HCI advertising reports nor AD structures, nor hex text of them")
    return advert


def _message(payload: Payload, advert: Advert, key: Key) -> Message:
    reading = read(advert, key)
    if reading is None:
        raise Rejected("unsupported", f"no maker's format fits this advert: {_described(advert)}")
    address = reading.address or advert.address
    if "encrypted" in reading.firmware and payload.source.query:
        payload.context.remember(f"ble-key:{address}", key(address))
    return told(payload, advert, reading, payload.source.device, address or plain_address(payload.source.device))


def told(payload: Payload, advert: Advert, reading: Reading, gateway: str, device: str) -> Message:
    """The message of a reading that a gateway heard ("": nobody else but the device itself)."""
    draft = Draft(payload, device)
    draft.kind = "event" if not _HAPPENS.isdisjoint(reading.values) else "telemetry"
    for name, value in reading.values.items():
        if value is None:
            draft.note(name, "no value: the sensor or probe is not there, or not ready")
        else:
            draft.put(name, value)
    draft.at = reading.at
    texts, packet = draft.texts, reading.packet
    texts["type"] = texts["model"] = reading.model
    texts.setdefault("manufacturer", reading.firmware.partition(" (")[0])
    texts["firmware"] = reading.firmware
    if plain_address(device):
        texts["mac"] = device
    draft.put("local_name", advert.local_name)
    draft.put("rssi", advert.rssi)
    if packet is not None:
        draft.put("packet", packet)
        draft.seq = packet if isinstance(packet, int) and _counts_far(reading) else None
    if gateway and plain_address(gateway) != device and gateway != device:
        draft.heard_by = [Heard(gateway, advert.rssi)]
    return draft.message()


def _counts_far(reading: Reading) -> bool:
    """False for counters of a byte: after they have begun anew, the same values with the same number are news."""
    maker = reading.firmware
    return maker.startswith(_FAR) or (maker.startswith("BTHome") and "packet_id" not in reading.values)


def _described(advert: Advert) -> str:
    parts = [f"company {company:04x}" for company in list(advert.manufacturer)[:4]]
    parts += [f"service {uuid}" for uuid in list(advert.service_data)[:4]]
    if advert.local_name:
        parts.append(f"name {advert.local_name[:32]!r}")
    return ", ".join(parts) or "it has no data of a company or service"
