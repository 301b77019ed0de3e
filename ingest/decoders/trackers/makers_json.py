"""Outsafe, Ramac, ValTrack, Smartcar, ORBCOMM, Polte: trackers that report in JSON, each known by its members.

In: the object. Out: messages by the makers' own names; None where it is none of theirs. Formats: Smartcar's webhooks
(version 4), ORBCOMM's IsatData Pro messages; the others as Traccar's decoders have them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.naming import device_name
from ingest.decoders.parts import NUMBERS
from ingest.decoders.trackers.reading import each
from ingest.decoders.units import normal

Object = Mapping[str, Any]

_UNITS = {"miles": "mi", "kilometers": "km", "miles_per_hour": "mph", "kilometers_per_hour": "km/h", "fahrenheit": "F"}
_CARS = {
    "tractionbattery-stateofcharge": "battery",
    "charge-ischarging": "charging",
    "charge-voltage": "charge_voltage",
}
_NO_HEADING = 360


def by_members(payload: Payload, root: Object) -> Sequence[Message | Rejected] | None:
    """Whose members these are decides; raises `Rejected`."""
    for member, kind, read in _MAKERS:
        if isinstance(root.get(member), kind):
            return read(payload, root)
    return None


def _named(*candidates: Any) -> str:
    for own in candidates:
        if isinstance(own, str | int) and not isinstance(own, bool) and own != "":
            return device_name(str(own))
    return ""


def _object(value: Any) -> Object:
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _rest(draft: Draft, values: Object, done: frozenset[str], prefix: str = "") -> None:
    for name, value in values.items():
        if name not in done:
            draft.tree(value, prefix + name)


_OUTSAFE = frozenset({"device", "time", "latitude", "longitude", "altitude", "data"})


def _outsafe(payload: Payload, root: Object) -> Sequence[Message]:
    draft = Draft(payload, _named(root.get("device")))
    draft.at = instant(root.get("time"))
    _rest(draft, root, _OUTSAFE)
    _rest(draft, _object(root.get("data")), frozenset())
    draft.place(root.get("latitude"), root.get("longitude"), root.get("altitude"))
    return (draft.message(),)


_RAMAC = frozenset({"DeviceId", "UpdateDate", "Latitude", "Longitude", "EstimatedAccuracy"})


def _ramac(payload: Payload, root: Object) -> Sequence[Message]:
    """Packets of its state (0), its place (1), an alarm with the last place (2)."""
    draft = Draft(payload, _named(root.get("DeviceId")))
    draft.at = instant(root.get("UpdateDate"))
    _rest(draft, root, _RAMAC)
    draft.put("battery", as_float(root.get("BatteryPercentage")))
    draft.put("voltage", as_float(root.get("Battery")))
    draft.put("temperature", as_float(root.get("Temperature")))
    if root.get("PacketType") == 2:
        draft.kind = "event"
    draft.place(root.get("Latitude"), root.get("Longitude"), None, root.get("EstimatedAccuracy"))
    return (draft.message(),)


def _valtrack(payload: Payload, root: Object) -> Sequence[Message | Rejected]:
    def one(item: Object) -> Sequence[Message]:
        draft = Draft(payload, _named(item.get("devid")))
        for name, value in item.items():
            if name not in {"devid", "lat", "lon"}:
                draft.number(name, value)
        draft.put("voltage", as_float(item.get("vbat")))
        draft.place(item.get("lat"), item.get("lon"))
        return (draft.message(),)

    return each(root["resource"], one)


def _smartcar(payload: Payload, root: Object) -> Sequence[Message]:
    if root["eventType"] != "VEHICLE_STATE":
        raise Rejected("unsupported", "of Smartcar's events only VEHICLE_STATE says how the vehicle is")
    draft = Draft(payload, _named(root.get("vehicleId")))
    draft.at = instant(_object(root.get("meta")).get("deliveredAt"))
    own = root.get("eventId")
    draft.id = own if isinstance(own, str) and len(own) <= 64 and own.isprintable() else ""
    signals = _object(root.get("data")).get("signals")
    items: list[Any] = signals if isinstance(signals, list) else []
    for item in items:
        signal = _object(item)
        code, body = signal.get("code"), _object(signal.get("body"))
        if code == "location-preciselocation":
            draft.place(body.get("latitude"), body.get("longitude"))
            draft.at = instant(_object(signal.get("meta")).get("oemUpdatedAt")) or draft.at
        elif isinstance(code, str):
            value, unit = body.get("value"), body.get("unit")
            if isinstance(value, NUMBERS) and not isinstance(value, bool) and unit in _UNITS:
                value = normal(value, _UNITS[unit])
            draft.tree(value if "value" in body else body, _CARS.get(code, code))
    return (draft.message(),)


def _orbcomm(payload: Payload, root: Object) -> Sequence[Message | Rejected]:
    def one(item: Object) -> Sequence[Message]:
        draft = Draft(payload, _named(item.get("MobileID")))
        draft.at = instant(item.get("MessageUTC"))
        own = item.get("ID")
        draft.id = str(own) if isinstance(own, int) else ""
        about = _object(item.get("Payload"))
        draft.put("Name", about.get("Name"))
        _rest(draft, item, frozenset({"ID", "MobileID", "MessageUTC", "Payload"}))
        fields: list[Any] = about["Fields"] if isinstance(about.get("Fields"), list) else []
        values = {str(field["Name"]): field.get("Value") for field in map(_object, fields) if "Name" in field}
        _satellite(draft, values)
        return (draft.message(),)

    return each(root["Messages"], one)


def _satellite(draft: Draft, values: Object) -> None:
    """Place in thousandths of a minute, speed in km/h, heading up to 360, time in seconds."""
    lower = {name.lower(): value for name, value in values.items()}
    for name, value in values.items():
        if name.lower() not in {"latitude", "longitude", "speed", "heading", "eventtime"}:
            draft.number(name, value)
    draft.at = instant(lower.get("eventtime")) or draft.at
    speed, heading = as_float(lower.get("speed")), as_float(lower.get("heading"))
    draft.put("speed", None if speed is None else normal(speed, "km/h"))
    draft.put("heading", heading if heading is not None and heading <= _NO_HEADING else None)
    lat, lon = as_float(lower.get("latitude")), as_float(lower.get("longitude"))
    if lat is not None and lon is not None:
        draft.place(round(lat / 60_000, 7), round(lon / 60_000, 7))


def _polte(payload: Payload, root: Object) -> Sequence[Message]:
    draft = Draft(payload, _named(root.get("ueToken")))
    place, report = _object(root.get("location")), _object(root.get("report"))
    if not place:
        raise Rejected("unsupported", "Polte: no location was found")
    draft.at = instant(place.get("detected_at")) or instant(root.get("time"))
    own = root.get("_id")
    draft.id = own if isinstance(own, str) and len(own) <= 64 and own.isprintable() else ""
    _rest(draft, place, frozenset({"latitude", "longitude", "altitude", "confidence", "detected_at", "ueToken", "uid"}))
    _rest(draft, report, frozenset({"battery"}), "report.")
    battery = _object(report.get("battery"))
    draft.put("battery", as_float(battery.get("level")))
    draft.put("voltage", as_float(battery.get("voltage")))
    draft.put("battery_count", as_float(battery.get("count")))
    draft.place(place.get("latitude"), place.get("longitude"), place.get("altitude"), place.get("confidence"))
    return (draft.message(),)


_Read = Callable[[Payload, Object], Sequence[Message | Rejected]]
_MAKERS: tuple[tuple[str, type, _Read], ...] = (
    ("PacketType", int, _ramac),
    ("resource", list, _valtrack),
    ("eventType", str, _smartcar),
    ("Messages", list, _orbcomm),
    ("ueToken", str, _polte),
    ("origin", str, _outsafe),
)
