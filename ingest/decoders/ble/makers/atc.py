"""Xiaomi thermometers with the firmwares of atc1441 and pvvx, and b-parasite: service 181a.

In: service data. Out: temperature, humidity, voltage, battery, and the pins' states. Encrypted forms need the bindkey.
Formats: github.com/atc1441/ATC_MiThermometer, github.com/pvvx/ATC_MiThermometer (advertising formats),
github.com/rbaron/b-parasite (protocol 1 and 2).
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.crypto import open_sealed
from ingest.decoders.ble.reading import Key, Reading, Values, backwards


def environmental(advert: Advert, data: bytes, key: Key) -> Reading | None:
    """Service 181a by its length: each format has its own."""
    size = len(data)
    if size == 15:
        return _pvvx(data)
    if size == 13:
        return _atc1441(data)
    if size == 6:
        return _opened(data)
    if size in {8, 11}:
        return _sealed(advert, data, key)
    if size in {16, 18}:
        return _parasite(data)._replace(address="" if advert.address else data[10:16].hex().upper())
    return None


def _pvvx(data: bytes) -> Reading:
    temperature, humidity, millivolts, battery, packet, pins = unpack("<hHHBBB", data[6:])
    values: Values = {"temperature": temperature / 100, "humidity": humidity / 100, "voltage": millivolts / 1000}
    values |= {"battery": battery} | _pins(pins)
    return Reading("ATC (Custom)", "ATC", values, packet, backwards(data[:6]))


def _atc1441(data: bytes) -> Reading:
    temperature, humidity, battery, millivolts, packet = unpack(">hBBHB", data[6:])
    values: Values = {"temperature": temperature / 10, "humidity": humidity, "voltage": millivolts / 1000}
    return Reading("ATC (Atc1441)", "ATC", values | {"battery": battery}, packet, data[:6].hex().upper())


def _sealed(advert: Advert, data: bytes, key: Key) -> Reading:
    head = bytes((len(data) + 3, 0x16, 0x1A, 0x18, data[0]))
    plain = open_sealed(advert.address, key, lambda address: address[::-1] + head, data[1:-4], data[-4:])
    if len(plain) == 6:
        values, battery = _climate(plain)
        firmware = "ATC (Custom encrypted)"
    else:
        values = {"temperature": plain[0] / 2 - 40.0, "humidity": plain[1] / 2, "switch": plain[2] > 127}
        battery, firmware = plain[2] & 127, "ATC (Atc1441 encrypted)"
    battery = min(battery, 100)
    values |= {"battery": battery, "voltage": 2.2 + (3.1 - 2.2) * (battery / 100)}
    return Reading(firmware, "ATC", values, data[0])


def _opened(data: bytes) -> Reading | None:
    """What is in pvvx's encrypted form, from a gateway that has the key."""
    values, battery = _climate(data)
    return Reading("ATC (Custom decrypted)", "ATC decrypted", values | {"battery": battery}) if battery <= 100 else None


def _climate(plain: bytes) -> tuple[Values, int]:
    temperature, humidity, battery, pins = unpack("<hHBB", plain)
    return {"temperature": temperature / 100, "humidity": humidity / 100} | _pins(pins), battery


def _pins(flags: int) -> Values:
    return {"switch": bool(flags & 2), "opening": bool(flags & 1)}


def _parasite(data: bytes) -> Reading:
    protocol, packet, millivolts, temperature, humidity, moisture = unpack(">BBHhHH", data[:10])
    values: Values = {
        "temperature": temperature / (100 if protocol >> 4 == 2 else 1000),
        "humidity": humidity / 65536 * 100,
        "voltage": millivolts / 1000,
        "moisture": moisture / 65536 * 100,
    }
    if len(data) == 16:
        return Reading("b-parasite V1.0.0 (without illuminance)", "b-parasite V1.0.0", values, packet)
    values["illuminance"] = int.from_bytes(data[16:18], "big")
    return Reading("b-parasite V1.1.0 (with illuminance)", "b-parasite V1.1.0", values, packet)
