"""Sport, kitchen, bath: Polar and XOSS belts, Atomax Skale, Oras Hydractiva, BeeWi doors; the SIG's battery service.

In: manufacturer or service data. Out: `heart_rate`, `weight` (g), a shower's water (l) and energy (kWh), `opening`,
`battery`. By published examples.
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values


def polar(_: Advert, data: bytes) -> Reading | None:
    """Company 006b: the pulse comes last."""
    return Reading("Polar", "H10", {"heart_rate": data[-1]}) if len(data) == 4 else None


def xoss(advert: Advert, data: bytes) -> Reading | None:
    """Company ff04, name X2: battery, …, pulse."""
    if advert.local_name != "X2" or len(data) != 4:
        return None
    return Reading("XOSS", "X2", {"heart_rate": data[3], "battery": data[1]})


def skale(_: Advert, data: bytes) -> Reading | None:
    """Company 81ef: tenths of a gram."""
    return Reading("Atomax", "Skale", {"weight": unpack("<h", data[:2])[0] / 10}) if len(data) == 4 else None


def amphiro(_: Advert, data: bytes) -> Reading | None:
    """Company faee: session, seconds, decilitres, °C, hundredths of kWh."""
    if len(data) != 19:
        return None
    session, seconds, tenths, temperature, energy = unpack(">HxxxHHHH", data[1:14])
    values: Values = {"session": session, "seconds": seconds, "litres": tenths / 10, "temperature": temperature}
    return Reading("Amphiro", "Hydractiva Digital", values | {"energy": energy / 100})


def beewi(_: Advert, data: bytes) -> Reading | None:
    """Company 000d, 08 0c: BeeWi's door sensor."""
    if len(data) != 5 or data[:2] != b"\x08\x0c":
        return None
    return Reading("BeeWi", "BSDOO", {"opening": data[2] == 1, "battery": data[4]})


def battery_service(_: Advert, data: bytes) -> Reading | None:
    """Service 180f of the Bluetooth SIG: one byte."""
    return (
        Reading("Battery Service", "Battery Service", {"battery": data[0]})
        if len(data) == 1 and data[0] <= 100
        else None
    )
