"""Small thermometers and hygrometers: ThermoBeacon, ThermoPro, Jinou, Jaalee, Moat, SensorPush, Blue Maestro, KKM.

In: manufacturer or service data. Out: temperature, humidity, pressure, voltage, battery. Source of the layouts:
github.com/custom-components/ble_monitor and the libraries of github.com/Bluetooth-Devices of these names.
"""

from math import sqrt
from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values, backwards, coin_cell

THERMOBEACON = {0x10: "Lanyard/mini hygrometer"} | dict.fromkeys((0x11, 0x15, 0x18, 0x1B), "Smart hygrometer")
SENSORPUSH_SERVICE = "ef090000-11d6-42ba-93b8-9dd7ec090ab0".replace("-", "")
_KKM = {0x07: "K6P", 0x0B: "KSensor", 0x0F: "K6 Sensor Beacon"}
_SENSORPUSH = {
    64: (
        "HTP.xw",
        (("temperature", -40.0, 140.0, 0.0025), ("humidity", 0, 100, 0.0025), ("pressure", 30000, 125000, 1)),
    ),
    65: ("HT.w", (("temperature", -40.0, 125.0, 0.0025), ("humidity", 0, 100, 0.0025))),
}


def thermobeacon(advert: Advert, data: bytes, company: int) -> Reading | None:
    """Its own address (6, backwards) after two bytes, millivolts, temperature and humidity in sixteenths."""
    if company == 0xAA55 and len(data) in {17, 18}:
        return _t201(advert, data)
    if (
        company not in THERMOBEACON
        or len(data) not in {18, 20}
        or (advert.address and advert.address != backwards(data[2:8]))
    ):
        return None
    if len(data) == 20:
        return _extremes(company, data)
    millivolts, temperature, humidity = unpack("<HhH", data[8:14])
    values: Values = {"voltage": millivolts / 1000, "temperature": temperature / 16, "humidity": humidity / 16}
    values |= {"battery": coin_cell(millivolts / 1000), "uptime": int.from_bytes(data[14:18], "little")}
    return Reading("Thermobeacon", THERMOBEACON[company], values, address=backwards(data[2:8]))


def _extremes(company: int, data: bytes) -> Reading:
    """Highest and lowest temperature, and how many seconds after its start."""
    highest, then, lowest, when = unpack("<hIhI", data[8:20])
    values: Values = {
        "temperature_max": highest / 16,
        "time_max": then,
        "temperature_min": lowest / 16,
        "time_min": when,
    }
    return Reading("Thermobeacon", THERMOBEACON[company], values, address=backwards(data[2:8]))


def _t201(advert: Advert, data: bytes) -> Reading | None:
    address = data[2:8].hex().upper()
    if advert.address not in {"", address}:
        return None
    volts, temperature, humidity, battery = unpack(">HhHB", data[8:15])
    values: Values = {"temperature": temperature / 100, "humidity": humidity / 100, "voltage": volts / 100}
    return Reading("Thermobeacon", "T301" if data[1] == 5 else "T201", values | {"battery": battery}, address=address)


def thermopro(advert: Advert, data: bytes, company: int) -> Reading | None:
    """TP357, TP357S, TP358, TP359, TP393: the temperature begins in the second byte of the company id, C2."""
    model = advert.local_name[:5]
    if model[:4] not in {"TP35", "TP39"} or len(data) < 3 or company & 0xFF != 0xC2:
        return None
    temperature, humidity, battery = unpack("<hBB", bytes((company >> 8,)) + data[:3])
    return Reading(
        "Thermopro", model, {"temperature": temperature / 10, "humidity": humidity, "battery_low": battery & 3 != 2}
    )


def jinou(company: int, data: bytes) -> Reading | None:
    """BEC07-5: sign, degrees, tenths; percent, tenths. The company id is the first two."""
    if len(data) != 11:
        return None
    whole = company >> 8
    temperature = float(f"{whole}.{data[0]}") * (-1 if company & 0xFF == 1 else 1)
    return Reading("Jinou", "BEC07-5", {"temperature": temperature, "humidity": float(f"{data[2]}.{data[3]}")})


def jaalee(advert: Advert, data: bytes) -> Reading | None:
    """Services f525 and f51c: battery, own address, [..], temperature and humidity as 16-bit fractions."""
    if len(data) not in {11, 12} or advert.address not in {"", backwards(data[1:7])}:
        return None
    return _jaalee(data[-4:], data[0])._replace(address=backwards(data[1:7]))


def jaalee_beacon(data: bytes, digits: int = 2) -> Reading:
    """The same in an iBeacon: temperature and humidity are its major and minor; its last byte is the battery."""
    return _jaalee(data[18:22], data[23], digits)


def _jaalee(data: bytes, battery: int, digits: int = 2) -> Reading:
    temperature, humidity = unpack(">HH", data)
    values: Values = {
        "temperature": round(175 * temperature / 65535 - 45, digits),
        "humidity": round(100 * humidity / 65535, digits),
    }
    return Reading("Jaalee", "JHT", values | {"battery": battery})


def moat(_: Advert, data: bytes) -> Reading | None:
    """Moat S2: temperature and humidity as 16-bit fractions, millivolts."""
    if len(data) != 18:
        return None
    temperature, humidity, millivolts = unpack("<HHH", data[10:16])
    values: Values = {
        "temperature": round(-46.85 + 175.72 * temperature / 65536, 3),
        "humidity": round(-6 + 125 * humidity / 65536, 3),
        "voltage": millivolts / 1000,
        "battery": round(_moat_battery(millivolts), 1),
    }
    return Reading("Moat", "Moat S2", values)


def _moat_battery(millivolts: int) -> float:
    if millivolts >= 3000:
        return 100
    if millivolts >= 2900:
        return 42 + (millivolts - 2900) * 0.58
    if millivolts >= 2740:
        return 18 + (millivolts - 2740) * 0.15
    if millivolts >= 2440:
        return 6 + (millivolts - 2440) * 0.04
    return (millivolts - 2100) * (6 / 340) if millivolts >= 2100 else 0


def sensorpush(company: int, data: bytes) -> Reading | None:
    """One mixed-radix number over all that follows the first byte, which is page and kind."""
    packed = company.to_bytes(2, "little") + data
    found = _SENSORPUSH.get(64 + (packed[0] >> 2))
    if packed[0] & 3 or found is None or len(packed) > 16:
        return None
    rest, values = int.from_bytes(packed[1:], "little"), Values()
    for name, least, most, step in found[1]:
        rest, count = divmod(rest, int((most - least) / step + step / 2) + 1)
        value = round(count * step + least, 2)
        values[name] = value / 100 if name == "pressure" else value
    return Reading("SensorPush", found[0], values)


def bluemaestro(_: Advert, data: bytes) -> Reading | None:
    """Tempo Disc T (0x0d), THD (0x16, 0x17), THPD (0x1b), Pebble (0x01)."""
    if len(data) == 18 and data[0] == 0x01:
        temperature, humidity, pressure = unpack("<xxhxxBH", data[1:10])
        values: Values = {"temperature": temperature / 10, "humidity": humidity, "pressure": pressure}
        return Reading("BlueMaestro", "Pebble", values)
    if len(data) == 10 and data[0] == 0x0D:
        battery, count, temperature = unpack("!Bxxhhxx", data[1:])
        return Reading("BlueMaestro", "Tempo Disc T", {"temperature": temperature / 10, "battery": battery}, count)
    if len(data) != 14 or data[0] not in {0x16, 0x17, 0x1B}:
        return None
    battery, count, temperature, humidity, last = unpack("!BxxhhHhxx", data[1:])
    values = {"temperature": temperature / 10, "humidity": humidity / 10, "battery": battery}
    name, model = ("pressure", "Tempo Disc THPD") if data[0] == 0x1B else ("dewpoint", "Tempo Disc THD")
    return Reading("BlueMaestro", model, values | {name: last / 10}, count)


def kkm(_: Advert, data: bytes) -> Reading | None:
    """KKM, also as BlueCharm: service feaa, frame 21, version 1, a mask of what follows (15 bytes: all)."""
    if len(data) < 5 or data[:2] != b"\x21\x01" or data[2] not in _KKM:
        return None
    mask, rest = data[2] if len(data) != 15 else 0x0F, data[3:]
    (millivolts,) = unpack(">H", rest[:2])
    values: Values = {"voltage": millivolts / 1000, "battery": coin_cell(millivolts / 1000)}
    rest = rest[2:]
    if mask & 2:
        values["temperature"], rest = unpack(">h", rest[:2])[0] / 256, rest[2:]
    if mask & 4:
        values["humidity"], rest = unpack(">H", rest[:2])[0] / 256, rest[2:]
    if mask & 8:
        x, y, z = unpack(">hhh", rest[:6])
        values |= {"acceleration": round(sqrt(x**2 + y**2 + z**2), 1)}
        values |= {"acceleration_x": x, "acceleration_y": y, "acceleration_z": z}
    return Reading("KKM", _KKM[mask], values)
