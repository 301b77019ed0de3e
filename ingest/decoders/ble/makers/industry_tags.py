"""Tags for industry and buildings among all others: Minew, EnOcean, Efento, Laird, MOKO, HibouAir.

In: an advert and its bytes. Out: their values under the names and in the units that all adverts share.
"""

from collections.abc import Callable

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.advlib import others
from ingest.decoders.ble.advlib.enocean import enocean
from ingest.decoders.ble.advlib.laird import laird
from ingest.decoders.ble.advlib.minew import manufacturer_data, service_data
from ingest.decoders.ble.advlib.words import Found
from ingest.decoders.ble.reading import Maker, Reading, Values

_PLAIN = {
    "batteryPercentage": "battery",
    "batteryVoltage": "voltage",
    "relativeHumidity": "humidity",
    "isMotionDetected": "motion",
    "isContactDetected": "contact",
    "isOccupancyDetected": "occupancy",
    "isLightDetected": "light",
    "isLiquidDetected": "leak",
    "isTamperDetected": "tamper",
    "isButtonPressed": "pressed",
    "isBatteryLow": "battery_low",
    "carbonDioxideConcentration": "co2",
    "volatileOrganicCompoundsConcentration": "voc",
    "txPower": "tx_power",
}
_LEFT_OUT = {"uri", "deviceIds", "timestamp", "txCount", "securitySignature"}
_AXES = {"acceleration", "angularVelocity", "magneticField"}


def _maker(model: str, read: Callable[[bytes], Found | None]) -> Maker:
    def make(advert: Advert, data: bytes) -> Reading | None:
        del advert
        found = read(data)
        if not found or found.keys() <= {"uri"}:
            return None
        values: Values = {}
        for name, value in found.items():
            if name not in _LEFT_OUT:
                _put(values, _PLAIN.get(name, name), value)
        if isinstance(found.get("pressure"), int | float):
            values["pressure"] = round(found["pressure"] / 100, 2)
        count = found.get("txCount")
        return Reading(
            model, model, values, count if isinstance(count, int) and model in {"EnOcean", "Efento"} else None
        )

    return make


def _put(values: Values, name: str, value: object) -> None:
    """A list of one is its one; axes are x, y, z; others are numbered from 1."""
    if not isinstance(value, list):
        if isinstance(value, bool | int | float | str):
            values[name] = value
        return
    items: list[object] = value
    for place, item in enumerate(items):
        own = f"{name}_{'xyz'[place]}" if name in _AXES else name if len(items) == 1 else f"{name}_{place + 1}"
        if isinstance(item, bool | int | float | str):
            values[own] = item


COMPANIES: dict[int, Maker] = {
    0x0077: _maker("Laird", laird),
    0x026C: _maker("Efento", others.efento),
    0x03DA: _maker("EnOcean", enocean),
    0x0639: _maker("Minew", manufacturer_data),
    0x075B: _maker("HibouAir", others.hibou_air),
    0x0A62: _maker("MOKO", others.moko),
}
SERVICES: dict[str, Maker] = {"ffe1": _maker("Minew", service_data)}
