"""Air monitors: Air Mentor Pro 2 and 2S, Almendo bluSensor.

In: manufacturer data. Out: temperature, humidity, co2, tvoc (µg/m³; Almendo: as sent), pm25, pm10, aqi. Source of the
layouts and of the correction of humidity: github.com/custom-components/ble_monitor.
"""

from math import exp
from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

PRO_2 = (0x2111, 0x2112, 0x2121, 0x2122)
S_2 = (0x5112, 0x5122, 0x6111, 0x6121)
_CLIMATE = {0x12, 0x22}
_QUALITY = (
    (50, "good"),
    (100, "moderate"),
    (150, "unhealthy for sensitive people"),
    (200, "unhealthy"),
    (250, "very unhealthy"),
)
_TVOC = 110 / 24.4
"""µg/m³ a ppb, for the mean molar mass of 110 g/mol that the maker assumes."""


def air_mentor(company: int, data: bytes) -> Reading | None:
    """The company id's low byte is the kind of frame: climate, or particles and CO2."""
    kind = company & 0xFF
    if len(data) == 8:
        return Reading(
            "Air Mentor", "Air Mentor Pro 2", _climate(data, corrected=True) if kind in _CLIMATE else _pro(data)
        )
    if len(data) == 12:
        return Reading(
            "Air Mentor", "Air Mentor 2S", _climate(data, corrected=False) if kind in _CLIMATE else _s2(data)
        )
    return None


def _climate(data: bytes, *, corrected: bool) -> Values:
    tvoc, raw, offset, humidity, aqi = unpack(">HHBBH", data[:8])
    temperature = (raw - 4000) * 0.01
    calibrated = temperature - offset * 0.1
    if corrected:  # relative humidity at the calibrated temperature, by the Magnus formula
        humidity = round(humidity * exp(_magnus(temperature)) / exp(_magnus(calibrated)), 2)
    return {
        "tvoc": round(tvoc * _TVOC, 2),
        "temperature": round(temperature, 2),
        "temperature_calibrated": round(calibrated, 2),
        "humidity": humidity,
        "aqi": aqi,
        "air_quality": next((word for most, word in _QUALITY if aqi <= most), "hazardous"),
    }


def _magnus(temperature: float) -> float:
    return temperature * 17.62 / (temperature + 243.12)


def _pro(data: bytes) -> Values:
    co2, fine, coarse = unpack(">HHH", data[:6])
    return {"co2": co2, "pm25": fine, "pm10": coarse}


def _s2(data: bytes) -> Values:
    co2, fine, coarse, _, formaldehyde = unpack(">HHHHH", data[:10])
    return {"co2": co2, "pm25": fine, "pm10": coarse, "formaldehyde": round(formaldehyde * 0.001 * 1.228, 6)}


def almendo(_: Advert, data: bytes) -> Reading | None:
    """Version 1, model 0a (BSP02AIQ)."""
    if len(data) < 16 or data[0] != 1 or data[2] != 0x0A:
        return None
    temperature, humidity, co2, tvoc, aqi = unpack("<hHHHB", data[7:16])
    values: Values = {"temperature": round(temperature / 100, 2), "humidity": round(humidity / 100, 2)}
    return Reading("Almendo V1", "bluSensor Mini", values | {"co2": co2, "tvoc": tvoc, "aqi": aqi})
