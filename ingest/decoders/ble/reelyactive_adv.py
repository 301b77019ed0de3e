"""Manufacturer data of makers for industry and buildings: EnOcean, ELA, Efento, Laird, Minew, MOKO, HibouAir.

`POST /ingest/TAG?decoder=reelyactive_adv&company=0639` with what stands behind the company id, as bytes or in
hexadecimal (`company`: the id in four hex digits, or the maker's name); without it the maker is found by what fits. A
whole advert brings its company along. The device is the MAC address in the data, else that of the path.

    a3 03 64 1973 4846 745233 …      Minew: battery 100 %, 25.449 °C, 72.27 %

Out: values by the names of reelyActive's advlib (`temperature`, `relativeHumidity`, `batteryPercentage`,
`batteryVoltage`, `isMotionDetected.0`, `acceleration.0` … G, `pressure` Pa), also `battery` (%) and `voltage` (V),
and `uri`, which says what it is.

Formats: the makers' documents, as advlib-ble-manufacturers (reelyActive) reads them.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.ble.advert import read_ad
from ingest.decoders.ble.advlib import others
from ingest.decoders.ble.advlib.ela import ela
from ingest.decoders.ble.advlib.enocean import enocean
from ingest.decoders.ble.advlib.laird import laird
from ingest.decoders.ble.advlib.minew import manufacturer_data as minew
from ingest.decoders.ble.advlib.words import EUI_48, RANDOM_48, Found, u16
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.naming import mac_name
from ingest.decoders.parts import short
from ingest.decoders.trackers.reading import asked

Maker = Callable[[bytes], Found | None]

COMPANIES: Mapping[int, Maker] = {
    0x004C: others.ibeacon,
    0x0059: others.nordic,
    0x0077: laird,
    0x026C: others.efento,
    0x03DA: enocean,
    0x0499: others.ruuvi,
    0x0500: others.wiliot,
    0x0583: others.diract,
    0x0590: others.espruino,
    0x0639: minew,
    0x0757: ela,
    0x075B: others.hibou_air,
    0x0A62: others.moko,
}
NAMES = {
    "apple": 0x004C,
    "nordicsemiconductor": 0x0059,
    "lairdconnectivity": 0x0077,
    "efento": 0x026C,
    "enocean": 0x03DA,
    "ruuvi": 0x0499,
    "wiliot": 0x0500,
    "codebluecommunications": 0x0583,
    "pur3ltd": 0x0590,
    "minew": 0x0639,
    "elainnovation": 0x0757,
    "smartsensordevices": 0x075B,
    "mokotechnology": 0x0A62,
}
_HEX = re.compile(rb"[0-9A-Fa-f\s:]{4,}")
_COUNTERS = ("EnOcean", "Efento")
_ALSO = (("batteryPercentage", "battery"), ("batteryVoltage", "voltage"))
_MOST = 2048


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message; raises `Rejected`."""
    data = payload.data
    if not data:
        return ()
    if len(data) > _MOST:
        raise Rejected("too_large", f"an advert has at most {_MOST} bytes")
    if _HEX.fullmatch(data):
        digits = data.translate(None, b" \t\r\n\v\f:")
        data = bytes.fromhex(digits.decode()) if len(digits) % 2 == 0 else data
    try:
        found = _read(payload, data)
    except (IndexError, struct.error):
        raise Rejected("bad_shape", "the manufacturer data is cut short") from None
    if not found:
        raise Rejected("unsupported", f"no maker's format fits {data[:8].hex(' ')} …; name it with ?company=")
    return _message(payload, found).messages()


def _read(payload: Payload, data: bytes) -> Found | None:
    company = asked(payload.source).get("company", "").lower().removeprefix("0x")
    if company:
        number = NAMES.get(company) or (int(company, 16) if re.fullmatch("[0-9a-f]{1,4}", company) else 0)
        if number not in COMPANIES:
            raise Rejected("unsupported", f"no format of the company {short(company)} is known")
        return COMPANIES[number](data)
    for number, own in read_ad(data).manufacturer.items():
        if number in COMPANIES:
            return COMPANIES[number](own)
    return guess(data)


def guess(data: bytes) -> Found | None:
    """Whose it is by its length and first bytes, the surest first; what two could have sent by believable values."""
    for maker in _candidates(data):
        found = maker(data)
        if found is not None:
            return found
    return None


def _candidates(data: bytes) -> Iterator[Maker]:
    head, size = data[:1], len(data)
    if head == b"{":
        yield others.espruino
    yield from (minew, ela, laird, others.nordic)
    if data[:2] == b"\x02\x15" and size == 23 and not 1800 <= int.from_bytes(data[16:18], "big") <= 4500:
        yield others.ibeacon  # else it is MOKO's, with the voltage of its battery there
    if size > 1 and data[1] & 0x1F == size - (3 if head == b"\x11" else 2):
        yield others.diract
    if size == 24 and _is_hibou(data):
        yield others.hibou_air
    if (head, size) in {(b"\x05", 24), (b"\x06", 20)}:
        yield others.ruuvi
    yield others.moko
    if (head == b"\x04" or size == 24) and size % 3 == 0:
        yield others.efento
    yield others.wiliot
    yield enocean


def _is_hibou(data: bytes) -> bool:
    """A known board, and air that there is: Ruuvi's bytes there are acceleration."""
    return data[1] <= 0x0A and 3000 <= u16(data, 7) <= 12_000 and u16(data, 9) <= 1000 and u16(data, 11) <= 1000


def _message(payload: Payload, found: Found) -> Draft:
    ids = found.get("deviceIds") or [""]
    own = str(ids[0])
    draft = Draft(payload, mac_name(own[:-2]) if own.endswith((EUI_48, RANDOM_48)) and len(own) == 14 else "")
    draft.tree(found)
    for name, also in _ALSO:
        draft.put(also, found.get(name))
    if "pressure" in found:
        draft.texts["unit.pressure"] = "Pa"
    stamp = found.get("timestamp")
    if isinstance(stamp, int):
        draft.at = instant(stamp)
    count = found.get("txCount")
    if isinstance(count, int) and any(maker in str(found["uri"]) for maker in _COUNTERS):
        draft.seq = count
    return draft
