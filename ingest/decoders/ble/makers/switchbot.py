"""SwitchBot: meters, bot, curtain, blinds, contact and motion sensors.

In: service data fd3d (formerly 0d00), or a meter's manufacturer data 0969. Out: values by name. Format:
github.com/OpenWonderLabs/SwitchBotAPI-BLE; meters' names as in github.com/custom-components/ble_monitor.
"""

from collections.abc import Callable

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

_METERS = {0x54: "Meter TH S1", 0x69: "Meter TH plus", 0x77: "Outdoor Meter"}
_OUTDOOR = 0x77
_BLIND = 0x78
_LIGHT = {0: "dark", 1: "dark", 2: "bright", 3: "bright"}
_CONTACT = ("closed", "open", "timeout not closed", "open")
_DISTANCE = ("long", "middle", "short", "unknown")
_BLIND_MIDDLE = 50


def switchbot(advert: Advert, data: bytes) -> Reading | None:
    """The first byte's seven bits are the kind of device, a letter."""
    if not data:
        return None
    kind = data[0] & 0x7F
    if kind in _METERS:
        return _meter(_METERS[kind], data[2] & 0x7F, data[3:6]) if len(data) == 6 else _outdoor(advert, data)
    own = advert.manufacturer.get(0x0969)
    if kind == _BLIND and own is not None:
        return _blind(data, own)
    read = _OTHERS.get(kind)
    found = None if read is None else read(data)
    return None if found is None else Reading("Switchbot", found[0], found[1])


def switchbot_meter(advert: Advert, data: bytes) -> Reading | None:
    """Own address (6), two more, temperature and humidity; the battery is in the service data, if that was heard."""
    service = advert.service_data.get("fd3d", b"")
    if service[:1] == b"x" or advert.local_name == "WoBlindTilt":
        return _blind(service, data)
    if len(data) not in {11, 12, 13} or not (advert.local_name.startswith("Wo") or service[:1] in {b"w", b"T", b"i"}):
        return None
    outdoor = advert.local_name == "WoIOSensorTH" or service[:1] == b"w"
    battery = service[2] & 0x7F if len(service) > 2 else None
    found = _meter(_METERS[_OUTDOOR] if outdoor else _METERS[0x54], battery, data[8:11])
    return found._replace(address=data[:6].hex().upper())


def _blind(service: bytes, data: bytes) -> Reading | None:
    """Blind Tilt: own address (6), counter, light and calibration, motion and tilt; closed at both ends."""
    if len(data) < 9:
        return None
    tilt = min(data[8] & 0x7F, 100)
    values: Values = {
        "opening_percentage": 2 * (tilt if tilt <= _BLIND_MIDDLE else 100 - tilt),
        "direction": "—" if tilt == _BLIND_MIDDLE else "up" if tilt > _BLIND_MIDDLE else "down",
        "motion": bool(data[8] & 0x80),
        "calibrated": bool(data[7] & 1),
        "light_level": data[7] >> 4,
    }
    if len(service) > 2:
        values["battery"] = service[2] & 0x7F
    return Reading("Switchbot", "Blind Tilt", values, address=data[:6].hex().upper())


def _outdoor(advert: Advert, data: bytes) -> Reading | None:
    own = advert.manufacturer.get(0x0969)
    if own is not None:
        return switchbot_meter(advert, own)
    return Reading("Switchbot", _METERS[_OUTDOOR], {"battery": data[2] & 0x7F}) if len(data) == 3 else None


def _meter(model: str, battery: int | None, data: bytes) -> Reading:
    """Tenths, degrees (highest bit: above zero), percent."""
    temperature = (data[1] & 0x7F) + (data[0] & 15) / 10
    values: Values = {"temperature": temperature if data[1] & 0x80 else -temperature, "humidity": data[2] & 0x7F}
    return Reading("Switchbot", model, values if battery is None else values | {"battery": battery})


def _bot(data: bytes) -> tuple[str, Values] | None:
    if len(data) < 3:
        return None
    switches = bool(data[1] & 0x80)
    values: Values = {"mode": "onestate" if not switches else "on/off", "battery": data[2] & 0x7F}
    return "Bot", values | {"state": "off" if switches and data[1] & 0x40 else "on"}


def _curtain(data: bytes) -> tuple[str, Values] | None:
    if len(data) < 5:
        return None
    position = data[3] & 0x7F
    values: Values = {"calibrated": bool(data[1] & 0x40), "battery": data[2] & 0x7F, "moving": bool(data[3] & 0x80)}
    return "Curtain", values | {"position": position, "light_level": data[4] >> 4}


def _motion(data: bytes) -> tuple[str, Values] | None:
    if len(data) < 6:
        return None
    still = (data[5] & 0x80) << 9 | data[3] << 8 | data[4]
    values: Values = {"motion": bool(data[1] & 0x40), "battery": data[2] & 0x7F, "no_motion_time": still}
    values |= {"led": bool(data[5] & 0x20), "sensing_distance": _DISTANCE[data[5] >> 2 & 3]}
    return "Motion Sensor", values | {"light_level": _LIGHT[data[5] & 3], "scope_tested": bool(data[1] & 0x80)}


def _contact(data: bytes) -> tuple[str, Values] | None:
    if len(data) < 9:
        return None
    state = data[3] >> 1 & 3
    values: Values = {"motion": bool(data[1] & 0x40), "battery": data[2] & 0x7F, "opening": state != 0}
    values |= {"contact": _CONTACT[state], "light_level": _LIGHT[2 * (data[3] & 1)]}
    values |= {"entrance_count": data[8] >> 6, "exit_count": data[8] >> 4 & 3, "button_count": data[8] & 15}
    return "Contact Sensor", values | {"scope_tested": bool(data[1] & 0x80)}


_OTHERS: dict[int, Callable[[bytes], tuple[str, Values] | None]] = {
    0x48: _bot,
    0x63: _curtain,
    0x7B: _curtain,
    0x73: _motion,
    0x64: _contact,
}
