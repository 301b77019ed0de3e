"""Minew: MSE sensors, S3 and S4 frames, Connect V3 (company 0x0639), and the frames of its service 0xFFE1.

In: the bytes behind company id or UUID. Out: values by advlib's names; None for other frames.
"""

from collections.abc import Callable, Mapping

from ingest.decoders.ble.advlib.words import EUI_48, Found, b16, reversed_address, signed_88, u16, u32

URI = "https://sniffypedia.org/Organization/Shenzhen_Minew_Technologies_Co_Ltd/"
_PRODUCT = "https://sniffypedia.org/Product/Minew_"


def manufacturer_data(data: bytes) -> Found | None:
    """By the first byte."""
    match data[:1]:
        case b"\x51":
            return _mse(data) if len(data) >= 7 else None
        case b"\xa3":
            return _s3(data)
        case b"\xa4":
            return _s4(data)
        case b"\xca":
            read = _CONNECT.get(data[1]) if len(data) > 1 else None
            return None if read is None else read(data)
        case _:
            return None


def _mse(data: bytes) -> Found:
    status, model = data[4], data[1]
    return {
        "batteryPercentage": data[3],
        "isButtonPressed": [bool(status & 0x20), bool(status & 0x40)],
        "isContactDetected": [not status & 0x01],
        "isMotionDetected": [bool(status & 0x02)],
        "levelPercentage": 100 * u16(data, 5) / 4095,
        "txCount": data[2],
        "uri": f"{_PRODUCT}MSE0{model}/" if model in {1, 2} else URI,
    }


def _version(data: bytes, at: int) -> str:
    return ".".join(str(part) for part in data[at : at + 3])


def _id(data: bytes, at: int) -> list[str]:
    return [reversed_address(data, at) + EUI_48]


def _s3(data: bytes) -> Found | None:
    if data[1:2] == b"\x01" and len(data) == 20:
        return {"deviceIds": _id(data, 12), "uri": URI, "version": _version(data, 2)}
    if data[1:2] == b"\x03" and len(data) == 16:
        return {
            "batteryPercentage": data[2],
            "deviceIds": _id(data, 7),
            "temperature": signed_88(data, 3),
            "relativeHumidity": signed_88(data, 5),
            "uri": URI,
        }
    return None


def _s4(data: bytes) -> Found | None:
    if data[1:2] == b"\x00" and len(data) == 18:
        return {"deviceIds": _id(data, 10), "uri": URI, "version": _version(data, 2)}
    if data[1:2] == b"\x01" and len(data) == 15:
        return {
            "batteryPercentage": data[2],
            "deviceIds": _id(data, 7),
            "isContactDetected": [not data[3]],
            "isTamperDetected": [bool(data[4])],
            "uri": URI,
        }
    return None


def _v3_info(data: bytes) -> Found | None:
    if len(data) != 24:
        return None
    version = b16(data, 9)
    return {
        "batteryPercentage": data[8],
        "deviceIds": _id(data, 2),
        "uri": URI,
        "version": f"{version >> 13 & 3}.{version >> 7 & 0x3F}.{version & 0x7F}",
    }


def _v3_blocks(data: bytes) -> Found | None:
    """Blocks of a kind and a value each; four bytes of other things end it."""
    if len(data) < 6:
        return None
    found: Found = {"uri": URI}
    at = 2
    while at < len(data) - 4:
        match data[at]:
            case 0x03:
                found["acceleration"] = [signed_88(data, at + place) for place in (1, 3, 5)]
                at += 7
            case 0x21:
                found["batteryPercentage"] = data[at + 1]
                at += 2
            case 0x22:
                found["isContactDetected"] = [not data[at + 1]]
                at += 2
            case _:
                break
    return found


def _v3_climate(data: bytes) -> Found | None:
    if len(data) != 24:
        return None
    found: Found = {
        "name": data[9:17].decode("utf-8", "replace").replace("\0", ""),
        "temperature": signed_88(data, 5),
        "uri": URI,
    }
    if not data[3] & 2:
        found["relativeHumidity"] = signed_88(data, 7)
    if data[2]:
        found["isMarked"] = [data[17] == 1]
    return found


def _v3_people(data: bytes) -> Found | None:
    if len(data) != 24 or data[2] > 1:
        return None
    if data[2]:
        return {"numberOfOccupants": data[4] & 0x0F, "numberOfOccupantsCycle": data[3], "uri": URI}
    return {"passageCounts": [u16(data, 4), u16(data, 6)], "passageCountsCycle": data[3], "uri": URI}


def _v3_static(data: bytes) -> Found | None:
    if len(data) != 24 or data[2] & 0x80:
        return None
    return {
        "temperature": signed_88(data, 14),
        "batteryVoltage": b16(data, 12) / 1000,
        "txPower": data[17] - 256 if data[17] > 127 else data[17],
        "deviceIds": _id(data, 6),
        "uri": f"{_PRODUCT}MTB02/" if b16(data, 3) == 7 else URI,
    }


def _v3_distance(data: bytes) -> Found | None:
    if len(data) != 24:
        return None
    flags = data[6]
    return {
        "distance": u16(data, 4) / 1000,
        "distanceCycle": data[3],
        "isBatteryLow": bool(flags & 8),
        "isContactDetected": [not flags & 1],
        "isMotionDetected": [bool(flags & 2)],
        "isOccupancyDetected": [bool(flags & 4)],
        "occupancyDetectionCycle": data[7],
        "tamperCycle": data[8],
        "uri": URI,
    }


_CONNECT: Mapping[int, Callable[[bytes], Found | None]] = {
    0x00: _v3_info,
    0x03: _v3_blocks,
    0x05: _v3_climate,
    0x18: _v3_people,
    0x1B: _v3_static,
    0x1E: _v3_distance,
}


def service_data(data: bytes) -> Found | None:
    """Frames of 0xFFE1: `a1`, a kind, the battery, a value, the address."""
    if data[:1] != b"\xa1" or len(data) < 9:
        return None
    known = _SERVICE.get(data[1])
    if known is None or (known[0] and len(data) != known[0]):
        return None
    return {**known[1](data), **({} if data[1] == 0x15 else {"batteryPercentage": data[2]}), "uri": URI}


def _axes(data: bytes, at: int) -> list[float]:
    return [signed_88(data, at + place) for place in (0, 2, 4)]


_SERVICE: Mapping[int, tuple[int, Callable[[bytes], Found]]] = {
    0x01: (13, lambda data: {"temperature": signed_88(data, 3), "relativeHumidity": signed_88(data, 5)}),
    0x02: (10, lambda data: {"isLightDetected": [bool(data[3] & 1)]}),
    0x03: (15, lambda data: {"acceleration": _axes(data, 3)}),
    0x05: (11, lambda data: {"illuminance": b16(data, 3)}),
    0x08: (0, lambda data: {"name": data[9:].decode("utf-8", "replace").rstrip("\0")}),
    0x11: (11, lambda data: {"isMotionDetected": [bool(data[4] & 1)]}),
    0x12: (11, lambda data: {"volatileOrganicCompoundsConcentration": b16(data, 3) / 1000}),
    0x13: (11, lambda data: {"temperature": signed_88(data, 3)}),
    0x15: (
        20,
        lambda data: {"acceleration": _axes(data, 2), "angularVelocity": [one * 2.56 for one in _axes(data, 8)]},
    ),
    0x16: (15, lambda data: {"magneticField": [one / 100 for one in _axes(data, 3)]}),
    0x17: (13, lambda data: {"pressure": int.from_bytes(data[3:7], "big", signed=True) / 65536 * 100}),
    0x18: (14, lambda data: {"isMotionDetected": [bool(data[7] & 1)], "timestamp": u32(data[6:2:-1], 0)}),
    0x19: (11, lambda data: {"luminousFlux": b16(data, 3)}),
    0x20: (10, lambda data: {"isTamperDetected": [bool(data[3] & 1)]}),
    0x21: (10, lambda data: {"isLiquidDetected": [bool(data[3] & 1)]}),
}
"""Length (0: any) and reader. One kind more than the manufacturer data has."""
