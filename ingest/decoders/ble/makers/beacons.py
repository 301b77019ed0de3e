"""Beacons: iBeacon (with Tilt hydrometers, Jaalee, BM2, BM6 and ABTemp sensors inside), AltBeacon.

In: manufacturer data. Out: `uuid`, `major`, `minor`, `measured_power` (dBm at 1 m), temperature and gravity of a Tilt.
Formats: Apple's "Proximity Beacon Specification", github.com/AltBeacon/spec, tilthydrometer.com.
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.makers.hygrometers import jaalee_beacon
from ingest.decoders.ble.reading import Reading, Values

_TILT = bytes.fromhex("c5b14b44b5121370f02d74de")
_COLOURS = ("Red", "Green", "Black", "Purple", "Orange", "Blue", "Yellow", "Pink")
_JAALEE = bytes.fromhex("ebefd08370a247c89837e7b5634df525")
_BM2 = bytes.fromhex("655f83caae16a10a702e31f30d58dd82")
_BM6 = bytes.fromhex("3ba29cd9a42c894856badaf2606ef777")
_ABTEMP = bytes.fromhex("b5b182c7eab14988aa99b5c1517008d9")
_COMPANIES = {0x0118: "Radius Networks, Inc.", 0x0059: "Nordic Semiconductor ASA", 0x004C: "Apple, Inc."}


def ibeacon(_: Advert, data: bytes) -> Reading | None:
    """Company 004c: 02 15, UUID (16), major, minor, power."""
    if len(data) < 23 or data[:2] != b"\x02\x15":
        return None
    uuid = data[2:18]
    if uuid == _JAALEE and len(data) == 24:
        return jaalee_beacon(data)
    values = _identity(uuid, data[18:23])
    if uuid[:3] == b"\xa4\x95\xbb" and uuid[4:] == _TILT and uuid[3] & 15 == 0 and 1 <= uuid[3] >> 4 <= 8:
        return _tilt(_COLOURS[(uuid[3] >> 4) - 1], values)
    return _hidden(uuid, data, values) or Reading("iBeacon", "iBeacon", values)


def _hidden(uuid: bytes, data: bytes, values: Values) -> Reading | None:
    """Car batteries' monitors and a thermometer, which put their values where an iBeacon has its numbers."""
    if uuid == _BM2:
        return Reading("BM2", "BM2", values | {"battery": data[22]})
    if uuid == _BM6:
        return Reading("BM6", "BM6", values | {"battery": data[19]})
    if uuid == _ABTEMP:
        temperature = int.from_bytes(data[21:22], "big", signed=True)
        return Reading("April Brother", "ABTemp", values | {"battery": data[20], "temperature": temperature})
    return None


def altbeacon(_: Advert, data: bytes, company: int) -> Reading | None:
    """Any company: be ac, id (20), power, reserved."""
    if len(data) < 23 or data[:2] != b"\xbe\xac":
        return None
    values = _identity(data[2:18], data[18:23])
    maker = _COMPANIES.get(company, "Other")
    return Reading("AltBeacon", "AltBeacon", values | {"manufacturer": maker})


def _identity(uuid: bytes, rest: bytes) -> Values:
    major, minor, power = unpack(">HHb", rest)
    return {"uuid": uuid.hex(), "major": major, "minor": minor, "measured_power": power}


def _tilt(colour: str, values: Values) -> Reading:
    """°F and thousandths of specific gravity; the Pro has ten times both."""
    major, minor = int(values["major"] or 0), int(values["minor"] or 0)
    scale = 10 if minor >= 5000 else 1
    found: Values = {"temperature": (major / scale - 32) * 5 / 9, "gravity": minor / (1000 * scale)}
    return Reading("Tilt", f"Tilt {colour}", values | found)
