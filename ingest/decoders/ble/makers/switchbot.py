"""SwitchBot: meters, bot, curtain, contact and motion sensors.

In: service data fd3d (formerly 0d00), or a meter's manufacturer data 0969. Out: values by name. Format:
github.com/OpenWonderLabs/SwitchBotAPI-BLE; meters' names as in github.com/custom-components/ble_monitor.
"""

from collections.abc import Callable

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

_METERS = {0x54: "Meter TH S1", 0x69: "Meter TH plus", 0x77: "Outdoor Meter"}
_OUTDOOR = 0x77
_LIGHT = {0: "dark", 1: "dark", 2: "bright", 3: "bright"}
_CONTACT = ("close", "open", "open, timeout", "open")


def switchbot(advert: Advert, data: bytes) -> Reading | None:
    """The first byte's seven bits are the kind of device, a letter."""
    if not data:
        return None
    kind = data[0] & 0x7F
    if kind in _METERS:
        return _meter(_METERS[kind], data[2] & 0x7F, data[3:6]) if len(data) == 6 else _outdoor(advert, data)
    read = _OTHERS.get(kind)
    found = None if read is None else read(data)
    return None if found is None else Reading("Switchbot", found[0], found[1])


def switchbot_meter(advert: Advert, data: bytes) -> Reading | None:
    """Own address (6), two more, temperature and humidity; the battery is in the service data, if that was heard."""
    service = advert.service_data.get("fd3d", b"")
    if len(data) not in {11, 12, 13} or not (advert.local_name.startswith("Wo") or service[:1] in {b"w", b"T", b"i"}):
        return None
    outdoor = advert.local_name == "WoIOSensorTH" or service[:1] == b"w"
    battery = service[2] & 0x7F if len(service) > 2 else None
    found = _meter(_METERS[_OUTDOOR] if outdoor else _METERS[0x54], battery, data[8:11])
    return found._replace(address=data[:6].hex().upper())


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
    return "Bot", values | ({"state": "on" if not data[1] & 0x40 else "off"} if switches else {})


def _curtain(data: bytes) -> tuple[str, Values] | None:
    if len(data) < 6:
        return None
    position = data[3] & 0x7F
    values: Values = {"calibrated": bool(data[1] & 0x40), "battery": data[2] & 0x7F, "moving": bool(data[3] & 0x80)}
    return "Curtain", values | {"position": 100 - position, "light_level": data[4] >> 4}


def _motion(data: bytes) -> tuple[str, Values] | None:
    if len(data) < 6:
        return None
    still = (data[5] & 0x80) << 9 | data[3] << 8 | data[4]
    values: Values = {"motion": bool(data[1] & 0x40), "battery": data[2] & 0x7F, "no_motion_time": still}
    return "Motion Sensor", values | {"light": _LIGHT[data[5] & 3] == "bright"}


def _contact(data: bytes) -> tuple[str, Values] | None:
    if len(data) < 9:
        return None
    state = data[3] >> 1 & 3
    values: Values = {"motion": bool(data[1] & 0x40), "battery": data[2] & 0x7F, "opening": state != 0}
    values |= {"contact": _CONTACT[state], "light": bool(data[3] & 1)}
    return "Contact Sensor", values | {"button_count": data[8] & 15, "entrance_count": data[8] >> 6}


_OTHERS: dict[int, Callable[[bytes], tuple[str, Values] | None]] = {
    0x48: _bot,
    0x63: _curtain,
    0x7B: _curtain,
    0x73: _motion,
    0x64: _contact,
}
