"""ELA Innovation (company 0x0757): one frame a sensor. In: its bytes. Out: values by advlib's names, or None."""

from collections.abc import Callable, Mapping

from ingest.decoders.ble.advlib.words import Found, i16, u16

URI = "https://sniffypedia.org/Organization/ELA_Innovation_SA/"


def _odd(data: bytes) -> list[bool]:
    """A count of 15 bits and, lowest, the state."""
    return [u16(data, 1) & 1 == 1]


def _humidity(data: bytes) -> Found:
    found: Found = {"relativeHumidity": data[1]}
    return found | {"temperature": i16(data, 3) / 100} if data[2] == 0x12 else found


_FRAMES: Mapping[int, tuple[int, Callable[[bytes], Found]]] = {
    0x06: (7, lambda data: {"deviceIds": [data[1:7].hex()]}),
    0x12: (3, lambda data: {"temperature": i16(data, 1) / 100}),
    0x21: (5, _humidity),
    0x32: (3, lambda data: {"isContactDetected": _odd(data)}),
    0x42: (3, lambda data: {"isMotionDetected": _odd(data)}),
    0x56: (7, lambda data: {"acceleration": [i16(data, at) / 1000 for at in (1, 3, 5)]}),
    0x62: (3, lambda data: {"isContactDetected": _odd(data)}),
    0x92: (3, lambda data: {"isMotionDetected": _odd(data)}),
    0xB2: (3, lambda data: {"isButtonPressed": _odd(data)}),
    0xF1: (2, lambda data: {"batteryPercentage": data[1]}),
    0xF2: (3, lambda data: {"batteryVoltage": u16(data, 1) / 1000}),
}


def ela(data: bytes) -> Found | None:
    """One value, or two of RHT."""
    known = _FRAMES.get(data[0]) if data else None
    return {**known[1](data), "uri": URI} if known is not None and len(data) == known[0] else None
