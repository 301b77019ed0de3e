"""Teltonika EYE sensors, and ELA's Blue Puck and Blue Coin, which Teltonika sells as its own.

In: manufacturer data 089a, 0757, or services 2a6e and 2a6f. Out: temperature, humidity, movement, angles, battery.
Formats: wiki.teltonika-gps.com "EYE sensor protocol", ELA "Bluetooth frame format".
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

_NAMES = {
    "P MAG": "Blue Puck MAG",
    "PUCK_T1": "Blue Puck T",
    "PUCK_TH": "Blue Puck RHT",
    "C T": "Blue Coin T",
    "P T": "Blue Puck T",
    "P RHT": "Blue Puck RHT",
}
_ELA = 0x0757
_NO_VALUE = 0x7FFF


def _model(advert: Advert) -> str | None:
    name = advert.local_name
    return next((model for start, model in _NAMES.items() if name.startswith(start)), None)


def puck(advert: Advert, _: bytes) -> Reading | None:
    """Services 2a6e (hundredths of °C), 2a6f (percent), 2a06 (a magnet's contact), and what its other frames say."""
    model = _model(advert)
    if model is None:
        return None
    temperature, humidity = advert.service_data.get("2a6e", b""), advert.service_data.get("2a6f", b"")
    contact = advert.service_data.get("2a06", b"")
    values = _frames(advert)
    if len(temperature) == 2:
        raw = int.from_bytes(temperature, "little", signed=True)
        values["temperature"] = raw / 100 if raw != _NO_VALUE else None
    if humidity:
        values["humidity"] = humidity[0] if len(humidity) == 1 else int.from_bytes(humidity[:2], "little") / 100
    if contact:
        values["opening"] = not contact[0] & 1
    return Reading("Teltonika", model, values) if values else None


def ela(advert: Advert, _: bytes) -> Reading | None:
    """Company 0757, one frame or two: temperature 12, humidity and temperature 21, battery f1 (%) and f2 (mV)."""
    model = _model(advert)
    return None if model is None else Reading("Teltonika", model, _frames(advert))


def _frames(advert: Advert) -> Values:
    values: Values = {}
    for kind, whole in advert.structures:
        if kind == 0xFF and len(whole) >= 4 and whole[0] | whole[1] << 8 == _ELA:
            values |= _frame(whole[2], whole[3:])
    return values


def _frame(kind: int, body: bytes) -> Values:
    if kind == 0x12 and len(body) >= 2:
        return {"temperature": int.from_bytes(body[:2], "little", signed=True) / 100}
    if kind == 0x21 and len(body) >= 4:
        return {"temperature": int.from_bytes(body[2:4], "little", signed=True) / 100, "humidity": body[0]}
    if kind == 0xF2 and len(body) >= 2:
        return {"voltage": int.from_bytes(body[:2], "little") / 1000}
    return {"battery": body[0]} if kind == 0xF1 else {}


def eye(_: Advert, data: bytes) -> Reading | None:
    """Company 089a: version, flags that say what follows."""
    if len(data) < 2:
        return None
    flags, rest = data[1], data[2:]
    values: Values = {}

    def take(size: int) -> bytes:
        nonlocal rest
        taken, rest = rest[:size], rest[size:]
        return taken

    if flags & 1:
        values["temperature"] = unpack(">h", take(2))[0] / 100
    if flags & 2:
        values["humidity"] = take(1)[0]
    if flags & 4:
        values["magnetic_field_detected"] = bool(flags & 8)
    if flags & 16:
        (moves,) = unpack(">H", take(2))
        values |= {"moving": bool(moves & 0x8000), "movement_counter": moves & 0x7FFF}
    if flags & 32:
        values["pitch"], values["roll"] = unpack(">bh", take(3))
    if flags & 64:
        values["battery_low"] = True
    if flags & 128:
        values["voltage"] = round(2 + take(1)[0] * 0.01, 3)
    return Reading("Teltonika", "EYE sensor", values)
