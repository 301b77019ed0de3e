"""Who is there, without a measurement: phones, watches, computers and key finders, exposure notifications.

In: an advert. Out: a `Reading` whose model says what it is, with `unlocked` for Apple's. Only gateways that hand on
all they hear ask for these. Formats: Apple's Continuity messages as github.com/furiousMAC/continuity describes them;
key finders by their names and company ids.
"""

from collections.abc import Callable

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

_NEARBY_INFO = 0x10
_HANDOFF_LIKE = {0x07, 0x0C, 0x12}
_UNLOCKED = 0x0B
_WATCH = 0x18
_LOCKED_WATCH_BIT = 0x80
_EXPOSURE = 20
_BY_NAME = {"iTAG": "iTAG", "Tile": "Tile", "nut": "nut", "nutale": "nutale"}
_BEGINNINGS = {"TicWatch GTH": "TicWatch GTH", "Nyon": "Nyon"}


def presence(advert: Advert) -> Reading | None:
    """The kind of device, of those that only show that they are there."""
    for company, read in _COMPANIES.items():
        data = advert.manufacturer.get(company)
        found = None if data is None else read(data)
        if found is not None:
            return found
    exposure = advert.service_data.get("fd6f", b"")
    if len(exposure) == _EXPOSURE:
        return Reading("presence", "GAEN", {"rpi": exposure[:16].hex(), "aem": exposure[16:].hex()})
    name = advert.local_name
    model = _BY_NAME.get(name) or next((kind for start, kind in _BEGINNINGS.items() if name.startswith(start)), None)
    if model is None and not {"feed", "feec", "fd84"}.isdisjoint(advert.service_data):
        model = "Tile"
    return None if model is None else Reading("presence", model, {})


def _apple(data: bytes) -> Reading | None:
    if not data:
        return None
    if data[0] == _NEARBY_INFO:
        return _nearby(data)
    if data[0] == 0x02:
        return None
    return Reading("presence", "Apple Continuity long" if data[0] in _HANDOFF_LIKE else "Apple Continuity", {})


def _nearby(data: bytes) -> Reading:
    """Length, status (its lower half: what is being done), flags."""
    status, flags = (data[at] if at < len(data) else 0 for at in (2, 3))
    if flags & 0x1F == _WATCH:
        return Reading("presence", "Apple Watch", {"unlocked": bool(flags & _LOCKED_WATCH_BIT)})
    values: Values = {"unlocked": status & 0x0F == _UNLOCKED}
    return Reading("presence", "Apple device", values)


def _microsoft(data: bytes) -> Reading | None:
    """Connected devices platform: scenario 1."""
    return Reading("presence", "Microsoft CDP", {}) if data[:1] == b"\x01" else None


def _gigaset(data: bytes) -> Reading | None:
    return Reading("presence", "G-Tag", {}) if data[:2] == b"\x02\x15" else None


_COMPANIES: dict[int, Callable[[bytes], Reading | None]] = {0x004C: _apple, 0x0006: _microsoft, 0x0180: _gigaset}
