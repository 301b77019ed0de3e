"""Govee thermometers, hygrometers, air monitors and meat probes.

In: manufacturer data under a dozen company ids that are none. Out: temperature, humidity, battery, pm25, probes with
their alarms. Source of the layouts: github.com/custom-components/ble_monitor, github.com/Bluetooth-Devices/govee-ble.
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

COMPANIES = (
    *(0x0001, 0x8801, 0xEC88),
    *(0x2730, 0x1B36, 0x4A32, 0x0332, 0x4C32, 0x67DD, 0xE02F, 0xF79F, 0xAC63, 0xEA1C, 0x04CF),
)
_GLUED = b"INTELLI_ROCKS"
_PROBE_SERVICES = {"8251": "H5182", "8351": "H5183", "8451": "H5184", "8551": "H5185", "9151": "H5191", "9851": "H5198"}
"""Model numbers as service UUIDs, which Govee writes the wrong way round."""
_PROBE_COMPANIES = {
    0x2730: "H5182",
    0x1B36: "H5184",
    0x4A32: "H5185",
    0x0332: "H5185",
    0x4C32: "H5185",
    0x67DD: "H5183",
    0xE02F: "H5183",
    0xF79F: "H5183",
    0xAC63: "H5191",
    0xEA1C: "H5055",
    0x04CF: "H5055",
}
_PROBE_SIZES = {14: ("H5183",), 17: ("H5182", "H5184"), 20: ("H5185", "H5191", "H5198", "H5055")}


def govee(advert: Advert, data: bytes, company: int) -> Reading | None:
    """By length and company; the iBeacon that some firmwares glue to the end is cut off."""
    if _GLUED in data:
        data = data[:-25]
    model = _PROBE_COMPANIES.get(company) or next(
        (_PROBE_SERVICES[uuid] for uuid in advert.service_uuids if uuid in _PROBE_SERVICES), ""
    )
    if advert.local_name.startswith("GVH5055") and len(data) >= 18:
        return _six_probes(data)
    if model and model in _PROBE_SIZES.get(len(data), ()):
        return _probes(model, data)
    if company == 0xEC88:
        return _old(advert, data)
    if company == 0x0001:
        return _new(advert, data)
    if company == 0x8801 and len(data) == 9:
        return _plain("H5179", data[4:])
    return None


def _old(advert: Advert, data: bytes) -> Reading | None:
    if len(data) == 6:
        return _packed("H5072/H5075", data[1:4], data[4])
    if len(data) == 7:
        return _plain("H5074", data[1:6])
    if len(data) == 9:
        services = advert.service_uuids
        model = "H5052" if "5250" in services else "H5071" if "7150" in services else "H5051"
        return _plain(model, data[1:6])
    return None


def _new(advert: Advert, data: bytes) -> Reading | None:
    if len(data) == 6:
        if "0651" in advert.service_uuids or advert.local_name.startswith("GVH5106"):
            return _air(data[2:6])
        return _packed("H5101/H5102/H5177", data[2:5], data[5])
    if len(data) != 9:
        return None
    inner = _packed("H5178", data[3:6], data[6])
    values = dict(inner.values) | {"sensor_id": data[2]}
    if data[2] != 1 or not advert.address:
        return inner._replace(values=values)
    outside = f"{int(advert.address, 16) + 1 & 0xFFFFFFFFFFFF:012X}"
    return inner._replace(values=values, model="H5178-outdoor", address=outside)


def _packed(model: str, data: bytes, battery: int) -> Reading:
    """Temperature and humidity in one number of six digits, TTTHHH in tenths; its highest bit is the sign."""
    packed = int.from_bytes(data, "big")
    sign, number = -1 if packed & 0x800000 else 1, packed & 0x7FFFFF
    values: Values = {"temperature": sign * (number // 1000) / 10, "humidity": number % 1000 / 10}
    values["battery"] = battery & 0x7F
    if battery & 0x80:
        values = {"temperature": None, "humidity": None, "battery": battery & 0x7F}
    return Reading("Govee", model, values)


def _air(data: bytes) -> Reading:
    packed = int.from_bytes(data, "big")
    sign, number = -1 if packed & 0x80000000 else 1, packed & 0x7FFFFFFF
    temperature, humidity = sign * (number // 1_000_000) / 10, number // 1000 % 1000 / 10
    return Reading("Govee", "H5106", {"temperature": temperature, "humidity": humidity, "pm25": number % 1000})


def _plain(model: str, data: bytes) -> Reading:
    temperature, humidity, battery = unpack("<hHB", data)
    return Reading("Govee", model, {"temperature": temperature / 100, "humidity": humidity / 100, "battery": battery})


def _probes(model: str, data: bytes) -> Reading | None:  # noqa: PLR0911 - one for each model
    """Two probes an advert: temperature, alarm above, and for some alarm below. No probe: absent; no alarm set: 0."""
    sensor = data[6]
    if model == "H5055":
        return _six_probes(data)
    if model == "H5183":
        return Reading("Govee", model, _probe(1, unpack(">hh", data[8:12]), 100))
    if model in {"H5182", "H5184"}:
        first, first_alarm, _, second, second_alarm = unpack(">hhbhh", data[8:17])
        start = 3 if model == "H5184" and sensor == 2 else 1
        values = _probe(start, (first, first_alarm), 100) | _probe(start + 1, (second, second_alarm), 100)
        return Reading("Govee", model, values)
    first = unpack(">hhhhhh", data[8:20])
    if model == "H5191":
        values = _probe(1, first[:2], 100)
        values["temperature"] = None if first[3] < 0 else first[3] / 100
        return Reading("Govee", model, values)
    if model == "H5185":
        return Reading("Govee", model, _probe(1, first[:2], 100) | _probe(2, first[3:5], 100))
    if sensor & 0x3F not in {1, 2}:
        return None
    start = 1 if sensor & 0x3F == 1 else 3
    return Reading("Govee", model, _probe(start, first[:3], 100) | _probe(start + 1, first[3:6], 100))


def _six_probes(data: bytes) -> Reading | None:
    """Battery, which pair of six, then whole degrees."""
    pair = data[3] >> 6
    if pair == 3:
        return None
    first, second = unpack("<hhh", data[5:11]), unpack("<hhh", data[12:18])
    values = _probe(pair * 2 + 1, first, 1) | _probe(pair * 2 + 2, second, 1)
    return Reading("Govee", "H5055", values | ({"battery": data[2]} if data[2] else {}))


def _probe(number: int, raw: tuple[int, ...], divisor: int) -> Values:
    values: Values = {f"temperature_probe_{number}": None if raw[0] < 0 else raw[0] / divisor}
    for name, alarm in zip(("temperature_alarm", "low_temperature_alarm"), raw[1:], strict=False):
        values[f"{name}_probe_{number}"] = max(alarm, 0) / divisor
    return values
