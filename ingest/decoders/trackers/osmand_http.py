"""OsmAnd, Traccar Client and everything that reports to Traccar by URL: where it is, as parameters or as JSON.

`GET /ingest?decoder=osmand_http&id=123456&lat=60.0&lon=30.0&timestamp=1377177267&speed=4&bearing=90&batt=87`, or the
same parameters as a form in a POST; the device is `id` or `deviceid`, else that of the path. Or the JSON of Traccar
Client 9 and of the Background Geolocation plug-in:

    {"device_id": "658765", "location": {"timestamp": "2025-05-09T04:11:30.579Z", "coords": {"latitude": 37.8, …}, …}}

Out: the position (`lat`, `lon` or `location`, `altitude`, `accuracy`), its time (`timestamp`: seconds, milliseconds
or a date, UTC where it names no zone), `battery` (%), and every other parameter by its own name; `speed` stays in the
sender's unit: OsmAnd's is m/s, Traccar Client's knots, the JSON form's m/s. Cell towers and access points are
`cell.N.…` and `wifi.N.…`. `valid=false` keeps the position away, with a note.

Formats: traccar.org/osmand, OsmAnd's trip recording, Background Geolocation's HTTP guide.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short
from ingest.decoders.trackers.reading import asked, each, meant, parameters, read_json

_HANDLED = {"id", "deviceid", "lat", "lon", "location", "altitude", "accuracy", "timestamp", "valid", "cell", "wifi"}
_NOT_KEPT = {"notificationToken", "password", "pass"}
_CELL = ("mcc", "mnc", "lac", "cid", "signal")
_TEXTS = {"driverUniqueId", "alarm", "event", "tid", "vin", "VIN"}
_UNKNOWN_IF_NEGATIVE = {"speed", "heading", "speed_accuracy", "heading_accuracy", "altitude_accuracy"}
_MOST_TOWERS = 16


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message; raises `Rejected`."""
    data = payload.data.strip()
    if data[:1] in b"{[" and data:
        return _decode_json(payload, data)
    pairs = parameters(data)
    source = payload.source
    if data != source.query.encode("latin-1", "replace"):
        pairs = [*asked(source).items(), *pairs]
    return (_decode_pairs(payload, pairs),)


def _decode_pairs(payload: Payload, pairs: Sequence[tuple[str, str]]) -> Message:
    values = dict(pairs)
    own = values.get("id") or values.get("deviceid") or ""
    draft = Draft(payload, device_name(own) if own else "")
    given = values.get("timestamp")
    if given:
        draft.at = instant(given.replace(" ", "+") if "T" in given else given)  # a zone's `+` came as a blank
        if draft.at is None:
            draft.note("timestamp", f"{short(given)} is no time")
    for name, text in pairs:
        if name not in _HANDLED and name not in _NOT_KEPT:
            draft.put(name, text if name in _TEXTS else meant(text))
    if "batt" in draft.fields:
        draft.fields["battery"] = draft.fields["batt"]
    _towers(draft, pairs)
    if values.get("valid", "true").lower() in {"false", "0"}:
        draft.note("position", "the device says that it is not valid")
    else:
        lat, lon = values.get("lat"), values.get("lon")
        if "location" in values:
            lat, _, lon = values["location"].partition(",")
        if lat is not None and as_float(lat) is None:
            raise Rejected("bad_position", f"the latitude {short(lat)} is no number")
        draft.place(lat, lon, values.get("altitude"), values.get("accuracy"))
    return draft.message()


def _towers(draft: Draft, pairs: Sequence[tuple[str, str]]) -> None:
    """`cell=257,02,16,2224,-90` and `wifi=00-14-22-01-23-45,-80`, each any number of times."""
    cells = [text.split(",") for name, text in pairs if name == "cell"][:_MOST_TOWERS]
    for place, cell in enumerate(cells):
        for name, text in zip(_CELL, cell, strict=False):
            draft.number(f"cell.{place}.{name}", text)
    points = [text.split(",") for name, text in pairs if name == "wifi"][:_MOST_TOWERS]
    for place, point in enumerate(points):
        draft.put(f"wifi.{place}.mac", point[0].replace("-", ":"))
        if len(point) > 1:
            draft.number(f"wifi.{place}.rssi", point[1])


def _decode_json(payload: Payload, data: bytes) -> Sequence[Message | Rejected]:
    value = read_json(data)
    if isinstance(value, list):
        raise Rejected("bad_shape", "this is an object with `device_id` and `location`")
    root: Mapping[str, Any] = value
    locations = root.get("location")
    own = root.get("device_id") or root.get("id") or asked(payload.source).get("id") or ""
    device = device_name(str(own)) if isinstance(own, str | int) and own else ""
    if isinstance(locations, dict):
        found: dict[str, Any] = locations
        return (_location(payload, device, found),)
    if not isinstance(locations, list):
        raise Rejected("missing_field", "there is no `location`, an object with `coords` and `timestamp`")
    items: list[Any] = locations
    return each(items, lambda item: (_location(payload, device, item),))


def _location(payload: Payload, device: str, values: Mapping[str, Any]) -> Message:
    draft = Draft(payload, device)
    draft.at = instant(values.get("timestamp"))
    own = values.get("uuid")
    if isinstance(own, str) and 0 < len(own) <= 64 and own.isprintable():
        draft.id = own
    for name, value in values.items():
        if name not in {"timestamp", "uuid", "coords", "battery", "extras", "_"}:
            draft.tree(value, name)
    draft.tree(values.get("extras"), "extras") if values.get("extras") else None
    _battery(draft, values.get("battery"))
    coords = values.get("coords")
    if isinstance(coords, dict):
        places: dict[str, Any] = coords
        for name, value in places.items():
            if name in {"latitude", "longitude", "altitude", "accuracy"}:
                continue
            if name in _UNKNOWN_IF_NEGATIVE and as_float(value) is not None and float(value) < 0:
                draft.note(name, "-1: not known")
            else:
                draft.tree(value, name)
        draft.place(places.get("latitude"), places.get("longitude"), places.get("altitude"), places.get("accuracy"))
    return draft.message()


def _battery(draft: Draft, battery: Any) -> None:
    """`level` is a part of 1, and -1 where it is not known."""
    if not isinstance(battery, dict):
        return
    found: dict[str, Any] = battery
    level = as_float(found.get("level"))
    if level is not None and 0 <= level <= 1:
        draft.put("battery", round(level * 100, 6))
    elif level is not None:
        draft.note("battery", "-1: not known")
    draft.tree({name: value for name, value in found.items() if name != "level"}, "battery")
