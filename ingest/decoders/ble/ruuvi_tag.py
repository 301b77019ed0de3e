"""RuuviTag and Ruuvi Air: what the tag itself says in its adverts, whoever hands it on.

`POST /ingest/DEVICE?decoder=ruuvi_tag` with the manufacturer data of 0x0499 (with or without the company id `99 04`),
as bytes or in hexadecimal, or the whole advert or HCI event, or the URL of old tags (`https://ruu.vi/#BFwaAMjlQ`).
The device is the MAC address in the data or the event, else that of the path; in an event, another one in the path is
the gateway that heard it.

    05 12fc 5394 c37c 0004 fffc 040c ac36 42 00cd cbb8334c884f      24.3 °C, 53.49 %, 100044 Pa, 2.977 V

Out: `temperature` °C, `humidity` %, `pressure` Pa, `acceleration_x` … G, `voltage` V, `battery` % (estimated from the
voltage), `tx_power` dBm, `movement_counter`, `measurement_sequence` (also `seq`, except for format 6, which counts to
255); Ruuvi Air: `pm_1_0`, `pm_2_5`, `pm_4_0`, `pm_10_0` µg/m³, `co2` ppm, `voc`, `nox` (indices), `luminosity` lx,
`calibration_in_progress`. What Ruuvi marks as not available is a note. Format 8 needs `?bindkey=HEX` (32 digits).

Formats: docs.ruuvi.com, Bluetooth advertisements, data formats 2 to 6, 8, C5, E1.
"""

import re
from collections.abc import Sequence

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.ble.advert import Advert, plain_address, read_ad, read_hci
from ingest.decoders.ble.crypto import keys_of
from ingest.decoders.ble.makers.ruuvi import COMPANY, from_url, ruuvi
from ingest.decoders.ble.reading import Key, Values, coin_cell
from ingest.decoders.draft import Draft

_HEX = re.compile(rb"(?:0[xX])?[0-9A-Fa-f\s:]{4,}")
_EDDYSTONE = "feaa"
_MOST = 4096
_WRAPS_SOON = 6


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message, or one for each advert of an event; raises `Rejected`."""
    data = _bytes(payload.data)
    if not data:
        return ()
    key = keys_of(payload)
    adverts = read_hci(data) if data[:2] == b"\x04\x3e" else _advert(data)
    if not adverts:
        raw = from_url(data) or data.removeprefix(b"\x99\x04")
        return (_message(payload, ruuvi(raw, plain_address(payload.source.device), key), Advert()),)
    made: list[Message | Rejected] = []
    for advert in adverts:
        try:
            made.append(_message(payload, values_of(advert, key), advert))
        except Rejected as error:
            made.append(error)
    return made


def values_of(advert: Advert, key: Key) -> Values:
    """What Ruuvi's tag says in this advert; raises `Rejected` where it is no tag of Ruuvi's."""
    own = advert.manufacturer.get(COMPANY)
    if own is None:
        own = from_url(advert.service_data.get(_EDDYSTONE, b""))
    if own is None:
        raise Rejected("unsupported", "there is no data of Ruuvi's in this advert")
    return ruuvi(own, advert.address, key)


def _bytes(data: bytes) -> bytes:
    """Hexadecimal digits as the bytes that they are."""
    if len(data) > _MOST:
        raise Rejected("too_large", f"an advert has at most {_MOST} bytes")
    if _HEX.fullmatch(data):
        digits = data.removeprefix(b"0x").removeprefix(b"0X").translate(None, b" \t\r\n\v\f:")
        if len(digits) % 2 == 0:
            return bytes.fromhex(digits.decode())
    return data


def _advert(data: bytes) -> Sequence[Advert]:
    advert = read_ad(data) if len(data) < 1650 else Advert()
    return (advert,) if COMPANY in advert.manufacturer or _EDDYSTONE in advert.service_data else ()


def _message(payload: Payload, values: Values, advert: Advert) -> Message:
    mac = values.get("mac")
    path = payload.source.device
    own = mac if isinstance(mac, str) and len(mac) == 12 else advert.address
    device = own or path or (f"RUUVI-{mac}" if mac else "")
    gateway = path if advert.address and plain_address(path) != device else ""
    draft = Draft(payload, path if plain_address(path) == device else device)
    fill(draft, values)
    draft.put("rssi", advert.rssi)
    if gateway:
        draft.heard_by.append(Heard(gateway, advert.rssi))
    return draft.message()


def fill(draft: Draft, values: Values) -> None:
    """Put what a tag says; what it marks as not available is a note."""
    for name, value in values.items():
        if value is None:
            draft.note(name, "not available")
        else:
            draft.put(name, value)
    if "pressure" in draft.fields:
        draft.texts["unit.pressure"] = "Pa"
    volts, sequence = values.get("voltage"), values.get("measurement_sequence")
    if isinstance(volts, float):
        draft.put("battery", coin_cell(volts))
    if isinstance(sequence, int) and values.get("data_format") != _WRAPS_SOON:
        draft.seq = sequence
