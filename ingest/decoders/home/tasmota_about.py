"""What a Tasmota says of itself: Status, INFO1 … INFO3 and discovery, as descriptions.

In: a JSON object. Out: messages of kind `description`: `name`, `model`, `manufacturer`, `firmware`, `unit.FIELD`, and
everything else under the names that it has (`StatusPRM.RestartReason`).
"""

from collections.abc import Mapping
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.draft import NAME, Draft
from ingest.decoders.home.tasmota_values import duration, instant_of, put_all
from ingest.decoders.home.values import fill, text_of
from ingest.decoders.naming import device_name, mac_name

_CONFIG = {"hn": "hostname", "t": "topic", "ft": "full_topic", "ofln": "offline", "onln": "online"}
_RELAYS = (1, 2, 3)  # a switch, a lamp, a shutter's
_SECTIONS = frozenset({"StatusSNS", "StatusSTS"})
_UNITS = {
    **dict.fromkeys(("Temperature", "DewPoint", "OBJTMP", "AMBTMP"), "°C"),
    **dict.fromkeys(("Humidity", "Moisture", "BatteryPercentage"), "%"),
    **dict.fromkeys(("Pressure", "SeaPressure"), "hPa"),
    **dict.fromkeys(("Total", "Yesterday", "Today", "ExportActive", "ExportTotal", "ImportActive"), "kWh"),
    **dict.fromkeys(("TotalTariff", "ExportTariff"), "kWh"),
    **dict.fromkeys(("PM1", "PM2.5", "PM10", "CF1", "CF2.5", "CF10"), "µg/m³"),
    **dict.fromkeys(("CarbonDioxide", "eCO2"), "ppm"),
    **dict.fromkeys(("ImportReactive", "ExportReactive"), "kvarh"),
    **dict.fromkeys(("Deg", "PhaseAngle"), "°"),
    "Energy": "kWh",
    "Period": "Wh",
    "Power": "W",
    "ApparentPower": "VA",
    "ReactivePower": "var",
    "Voltage": "V",
    "Current": "A",
    "Frequency": "Hz",
    "Illuminance": "lx",
    "TVOC": "ppb",
    "Distance": "cm",
}

_BY_SENSOR = {f"{sensor}.Distance": "mm" for sensor in ("VL53L0X", "VL53L1X", "VL53L0X-1", "VL53L1X-1")}


def status(payload: Payload, last: str, value: Mapping[str, Any]) -> list[Message]:
    """The sections of `Status`, or an INFO; none if there is nothing but readings in it."""
    draft = Draft(payload, kind="description")
    if last.startswith("INFO"):
        inner = value.get(f"Info{last[4:]}")
        value = inner if isinstance(inner, dict) else value
        put_all(draft, value, {})
        _name(draft, model=text_of(value, "Module"), firmware=text_of(value, "Version"))
        return draft.messages()
    rest = {key: item for key, item in value.items() if key not in _SECTIONS}
    fill(draft, rest)
    for name in [*draft.texts]:
        found = duration(draft.texts[name]) if name.endswith("Uptime") else None
        if found is not None:
            del draft.texts[name]
            draft.fields[name] = found
    own, firmware, net = (_section(value, name) for name in ("Status", "StatusFWR", "StatusNET"))
    names = own.get("FriendlyName")
    friendly = names[0] if isinstance(names, list) and names else names
    _name(
        draft,
        name=text_of(own, "DeviceName") or (friendly if isinstance(friendly, str) else ""),
        firmware=text_of(firmware, "Version"),
        mac=text_of(net, "Mac"),
    )
    draft.at = instant_of(value)
    return [] if draft.empty else draft.messages()


def discovery(payload: Payload, value: Mapping[str, Any]) -> list[Message | Rejected] | None:
    """`config` and `sensors` of `tasmota/discovery/MAC`; None for anything else."""
    if "ft" in value and "t" in value and "mac" in value:
        return [*_config(payload, value)]
    snapshot = value.get("sn")
    if not isinstance(snapshot, dict) or not {"sn", "ver"}.issuperset(value):
        return None
    mac = _mac_of(payload)
    known = payload.context.recall(f"tasmota:{mac}") if mac else None
    draft = Draft(payload, known if isinstance(known, str) else mac_name(mac) if mac else "", "description")
    seen = Draft(payload, draft.device)
    fill(seen, snapshot)
    speed = "km/h" if snapshot.get("SpeedUnit") == "km/h" else "m/s" if "SpeedUnit" in snapshot else ""
    for name in seen.fields:
        unit = _unit(name, speed)
        if unit:
            draft.texts[f"unit.{name}"[:NAME]] = unit
    draft.texts["sensors"] = ", ".join(key for key, item in snapshot.items() if isinstance(item, dict))[:1024] or "none"
    draft.at = instant_of(snapshot)
    return [*draft.messages()]


def _unit(name: str, speed: str) -> str:
    """Of `ENERGY.TotalTariff.0`, `ANALOG.Temperature1`, `ENERGY.Total.Phase1`, `TX23.Speed.Act`; "" for none."""
    parts = [part for part in name.split(".") if not part.isdigit()]
    found = _BY_SENSOR.get(name) or _UNITS.get(".".join(parts[1:]), "")
    for part in reversed(parts[1:]):
        found = found or _UNITS.get(part) or _UNITS.get(part.rstrip("0123456789"), "")
        if part == "Speed":
            found = speed
    return found


def _config(payload: Payload, value: Mapping[str, Any]) -> list[Message]:
    device = _device(value) or payload.source.device
    mac = text_of(value, "mac")
    draft = Draft(payload, device, "description")
    if mac:
        payload.context.learn(draft.device, f"tasmota:{mac.upper()}", draft.device, payload.received)
    for key, name in _CONFIG.items():
        draft.put(name, text_of(value, key))
    names = _list(value, "fn")
    relays = [place for place, kind in enumerate(_list(value, "rl")) if kind in _RELAYS and place < len(names)]
    for place in relays:
        label = names[place]
        draft.put(f"label.POWER{place + 1 if len(relays) > 1 else ''}", label if isinstance(label, str) else None)
    friendly = next((one for one in names if isinstance(one, str) and one), "")
    _name(
        draft,
        name=text_of(value, "dn") or friendly,
        model=text_of(value, "md"),
        firmware=text_of(value, "sw"),
        mac=mac,
        ip=text_of(value, "ip"),
    )
    return draft.messages()


def _device(value: Mapping[str, Any]) -> str:
    """The name that its telemetry will have: the levels of its FullTopic after `tele`, or those before it."""
    topic, full, prefixes = text_of(value, "t"), text_of(value, "ft"), value.get("tp")
    if not topic:
        return ""
    tele = prefixes[2] if isinstance(prefixes, list) and len(prefixes) > 2 and isinstance(prefixes[2], str) else "tele"
    full = (
        full.replace("%topic%", topic)
        .replace("%hostname%", text_of(value, "hn"))
        .replace("%id%", text_of(value, "mac"))
    )
    before, found, after = full.strip("/").partition("%prefix%")
    before, after = before.strip("/"), after.strip("/")
    if not found:
        return device_name(topic)
    if "/" in tele and not after:
        before = f"{before}/{tele.rpartition('/')[0]}"
    return device_name(after or before or topic)


def _mac_of(payload: Payload) -> str:
    levels = payload.source.topic.split("/")
    return levels[-2].upper() if len(levels) > 3 and levels[-3] == "discovery" else ""


def _list(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return found if isinstance(found, list) else []


def _section(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _name(draft: Draft, **texts: str) -> None:
    for name, text in texts.items():
        draft.put(name, text)
    if texts.get("model") or texts.get("firmware"):
        draft.texts["manufacturer"] = "Tasmota"
        draft.texts["unit.Wifi.RSSI"] = "%"  # a quality, not dBm: that is Wifi.Signal
