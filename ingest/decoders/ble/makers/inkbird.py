"""Inkbird pool, room and meat thermometers (IBS-TH, IBS-TH2/P01B, iBBQ with 1 to 6 probes).

In: manufacturer data; the room sensors put their temperature where the company id belongs. Out: temperature or that of
the outer probe, humidity, battery; `temperature_probe_1` and on. Source: github.com/custom-components/ble_monitor,
github.com/Bluetooth-Devices/inkbird-ble.
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

NAMES = {"sps": "IBS-TH", "tps": "IBS-TH2/P01B"}
_PROBES = {10: 1, 12: 2, 16: 4, 20: 6}
_UNPLUGGED = 0xFFF6
"""-10: that of a socket without a probe."""


def inkbird(advert: Advert, data: bytes, company: int) -> Reading | None:
    """By the name that it advertises, or by its own address in what it says."""
    if advert.local_name in NAMES and len(data) == 7:
        return _room(advert.local_name, company, data)
    count = _PROBES.get(len(data))
    if count is None or company > 1 or not _is_own(advert, data[2:8]):
        return None
    raw = unpack(f"<{count}H", data[8:])
    values: Values = {f"temperature_probe_{number}": _degrees(value) for number, value in enumerate(raw, 1)}
    return Reading("Inkbird", f"iBBQ-{count}", values, address=advert.address)


def _room(name: str, company: int, data: bytes) -> Reading | None:
    temperature = (company - 65536 if company > 32767 else company) / 100
    humidity, probe, _, battery = unpack("<HBHB", data[:6])
    if probe not in {0, 1, 3}:
        return None
    values: Values = {"temperature_probe_1" if probe else "temperature": temperature, "battery": battery}
    if name == "sps" or humidity not in {0, 0xFFFF}:
        values["humidity"] = humidity / 100
    return Reading("Inkbird", NAMES[name], values)


def _is_own(advert: Advert, address: bytes) -> bool:
    """True as well where nobody knows the sender's address, if it advertises as one of these."""
    if not advert.address:
        return advert.local_name in {"iBBQ", "xBBQ"}
    return advert.address in {address.hex().upper(), address[::-1].hex().upper()}


def _degrees(raw: int) -> float | None:
    if raw in {_UNPLUGGED, 0xFFFF}:
        return None
    return (raw - 65536 if raw > 32767 else raw) / 10
