"""OwnTracks: the phone app that says where its owner is, over MQTT or HTTP.

MQTT: `owntracks/USER/DEVICE` and what is below it (`event`, `waypoint`, `waypoints`, `step`, `beacon`, `info`,
`status`, `dump`, `cmd`); the device is `USER:DEVICE`. HTTP: `POST /ingest?decoder=owntracks`; the device is that of
the payload's `topic`, else of `?u=USER&d=DEVICE` or the app's headers `X-Limit-U` and `X-Limit-D`, else of the path,
else its `tid`. A body may also be a list.

    {"_type": "location", "lat": 48.8568, "lon": 2.2927, "acc": 12, "batt": 53, "tid": "j1", "tst": 1706856298}

| `_type` | what comes out |
| --- | --- |
| location | position; fields as the app names them (`vel` in km/h, `cog`, `vac` …), `battery` (%), `pressure` (hPa) |
| transition | an event: texts `event` (enter, leave) and `desc`, and where that was |
| lwt | a status: `status` offline |
| waypoint, waypoints | an event, a description: regions, not where it is (`lat`, `lon` and `rad` are fields) |
| beacon | the beacon `UUID:MAJOR:MINOR`, heard by the phone |
| steps | `steps`, `from`, `to` |
| card, configuration, status | a description; pictures and secrets are left out |
| cmd | a command |
| request | an event |
| encrypted | rejected: `encrypted` |

Greenwich's CSV (`X0,542A46AA,k,30365854,7575769,26,4,7,5,872`) is read as well. Formats: the OwnTracks Booklet,
chapters JSON and HTTP; CSV: Greenwich's manual.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.clocks import seconds
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.naming import device_name
from ingest.decoders.parts import NESTED, short
from ingest.decoders.trackers.owntracks_csv import read_csv
from ingest.decoders.trackers.reading import asked, each, read_json

_UNKNOWN_IF_NEGATIVE = ("batt", "cog", "vac", "vel")
BELOW = ("event", "waypoints", "waypoint", "step", "steps", "beacon", "info", "status", "dump", "cmd", "lwt", "request")
TOPICS = (*(f"#/owntracks/{{device#}}/{level}" for level in BELOW), "#/owntracks/{device#}")

Object = Mapping[str, Any]

_TEXTS = {"tid", "desc", "lac", "cid", "imei", "vin", "name", "count", "_id", "rid", "SSID", "BSSID", "topic", "can"}
_ELSEWHERE = {"_type", "lat", "lon", "alt", "acc", "tst", "image", "face", "_id", "topic"}
_SECRET = {"password", "passphrase", "encryptionkey", "clientpkcs", "tlsclientcrtpassword", "httpheaders"}
STATUS = {b"1": "online", b"0": "offline", b"-1": "offline"}
"""What Greenwich says of its connection; -1: it ended that itself."""

_PICTURE = "a picture is not kept"


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message for each object; raises `Rejected`."""
    data = payload.data.strip()
    if not data:
        return ()
    if data[:1] not in b"{[":
        bare = _decode_bare(payload, data)
        if bare is not None:
            return bare
    value = read_json(data)
    if isinstance(value, dict):
        return _decode_one(payload, value)  # pyright: ignore[reportUnknownArgumentType]
    return each(value, lambda item: _decode_one(payload, item))


def _decode_bare(payload: Payload, data: bytes) -> Sequence[Message] | None:
    """What Greenwich says without JSON on topics that the app has too: a location, a status, a command."""
    found = read_csv(data)
    if found is not None:
        return _decode_one(payload, found)
    level = payload.source.topic.rpartition("/")[2]
    if level == "status" and data in STATUS:
        draft = _begin(payload, {}, "status")
        draft.texts["status"] = STATUS[data]
        draft.put("code", int(data))
    elif level == "cmd" and data.isascii():
        draft = _begin(payload, {}, "command")
        draft.put("cmd", data.decode())
    else:
        return None
    return (draft.message(),)


def _decode_one(payload: Payload, values: Object) -> Sequence[Message]:
    kind = values.get("_type")
    if kind is None and "lat" in values and "lon" in values:
        kind = "location"
    make = _KINDS.get(kind) if isinstance(kind, str) else None
    if make is None:
        if kind is None:
            raise Rejected("missing_field", "there is no `_type`, which says what an OwnTracks message is")
        raise Rejected("unsupported", f"`_type` {short(str(kind))} is not one that OwnTracks publishes")
    return make(payload, values)


def device_of(payload: Payload, values: Object) -> str:
    """`USER:DEVICE` of topic, payload or query, else what the path says, else the tracker's id."""
    source = payload.source
    if source.topic and source.device:
        return source.device
    topic = source.topic or values.get("topic")
    if isinstance(topic, str) and topic.strip("/"):
        return device_name(_own_levels(topic))
    if source.query:
        query = asked(source)
        own = "/".join(query[key] for key in ("u", "d") if query.get(key))
        if own:
            return device_name(own)
    tid = values.get("tid")
    return source.device or (device_name(tid) if isinstance(tid, str) and tid else "")


def _own_levels(topic: str) -> str:
    levels = topic.strip("/").split("/")
    if "owntracks" in levels[:-1]:
        levels = levels[levels.index("owntracks") + 1 :]
    return "/".join(levels[:-1] if len(levels) > 2 and levels[-1] in BELOW else levels)


def _begin(payload: Payload, values: Object, kind: str = "telemetry") -> Draft:
    draft = Draft(payload, device_of(payload, values), kind)
    draft.at = seconds(values.get("tst"))
    own = values.get("_id")
    if isinstance(own, str) and 0 < len(own) <= 64 and own.isprintable():
        draft.id = own
    return draft


def _fill(draft: Draft, values: Object) -> None:
    """Everything by its own name; texts that are numbers are numbers, but for names and identifiers."""
    for name, value in values.items():
        if name in _ELSEWHERE:
            continue
        if isinstance(value, NESTED):
            draft.tree(value, name)
        elif name in _TEXTS and not isinstance(value, bool | None):
            draft.put(name, str(value))
        else:
            draft.number(name, value)
    for name in ("image", "face"):
        if values.get(name):
            draft.note(name, _PICTURE)


def _location(payload: Payload, values: Object) -> Sequence[Message]:
    draft = _begin(payload, values)
    _fill(draft, values)
    lat, lon = values.get("lat"), values.get("lon")
    if as_float(lat) is None or as_float(lon) is None:
        if draft.empty:
            raise Rejected("missing_field", "a location has `lat` and `lon`, numbers")
        draft.note("position", "`lat` and `lon` are no numbers")
    draft.place(lat, lon, values.get("alt"), values.get("acc"))
    fields = draft.fields
    for name in _UNKNOWN_IF_NEGATIVE:
        if fields.get(name) == -1:
            del fields[name]
            draft.note(name, "-1: not known")
    level = fields.get("batt")
    if level is not None and not _is_percent(values):
        draft.texts["unit.batt"] = "V"
    elif level is not None and 0 <= level <= 100:
        fields["battery"] = level
    pressure = fields.get("p")
    if pressure is not None:
        fields["pressure"] = round(pressure * 10, 6)
    if draft.empty and draft.position is None:
        raise Rejected("no_fields", "a location has `lat` and `lon`")
    return (draft.message(),)


def _is_percent(values: Object) -> bool:
    """Greenwich, known by its distances and by numbers in quotes, has volts in `batt`."""
    return "dist" not in values and "trip" not in values and not isinstance(values["batt"], str)


def _transition(payload: Payload, values: Object) -> Sequence[Message]:
    draft = _begin(payload, values, "event")
    _fill(draft, values)
    draft.place(values.get("lat"), values.get("lon"), values.get("alt"), values.get("acc"))
    return (draft.message(),)


def _lwt(payload: Payload, values: Object) -> Sequence[Message]:
    """Its `tst` is when the app connected: no time of this message."""
    draft = _begin(payload, values, "status")
    draft.at = None
    _fill(draft, values)
    draft.texts["status"] = "offline"
    connected = as_float(values.get("tst"))
    if connected is not None:
        draft.put("tst", connected)
    return (draft.message(),)


def _regions(kind: str) -> Callable[[Payload, Object], Sequence[Message]]:
    """Places that the app watches: `lat` and `lon` are theirs, `tst` when they were made."""

    def make(payload: Payload, values: Object) -> Sequence[Message]:
        draft = _begin(payload, values, kind)
        draft.at = None
        if kind == "event":
            _fill(draft, values)
            for name in ("lat", "lon", "tst"):
                draft.number(name, values.get(name))
        else:
            draft.texts["_type"] = "waypoints"
            draft.tree({name: value for name, value in values.items() if name not in _ELSEWHERE})
        return draft.messages()

    return make


def _beacon(payload: Payload, values: Object) -> Sequence[Message]:
    gateway = device_of(payload, values)
    uuid = values.get("uuid")
    if not isinstance(uuid, str) or not uuid:
        raise Rejected("missing_field", "a beacon has a `uuid`")
    own = ":".join(str(values[key]) for key in ("uuid", "major", "minor") if values.get(key) is not None)
    draft = Draft(payload, device_name(own))
    draft.at = seconds(values.get("tst"))
    rssi = as_float(values.get("rssi"))
    if gateway:
        draft.heard_by.append(Heard(gateway, rssi))
    draft.put("rssi", rssi)
    for name in ("desc", "major", "minor", "acc", "prox", "uuid"):
        draft.put(name, values.get(name)) if name in {"desc", "uuid"} else draft.number(name, values.get(name))
    return (draft.message(),)


def _steps(payload: Payload, values: Object) -> Sequence[Message]:
    draft = _begin(payload, values)
    _fill(draft, values)
    if draft.fields.get("steps") == -1:
        del draft.fields["steps"]
        draft.note("steps", "-1: not counted, or no such time")
    return (draft.message(),)


def _description(payload: Payload, values: Object) -> Sequence[Message]:
    draft = _begin(payload, {name: value for name, value in values.items() if name != "tst"}, "description")
    _fill(draft, {name: value for name, value in values.items() if name.lower() not in _SECRET})
    system = values.get("iOS")
    if isinstance(system, dict):
        draft.put("model", system.get("deviceModel"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        draft.put("firmware", system.get("version"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        draft.texts.setdefault("manufacturer", "Apple")
    draft.texts.setdefault("_type", str(values.get("_type")))
    return draft.messages()


def _said(kind: str) -> Callable[[Payload, Object], Sequence[Message]]:
    def make(payload: Payload, values: Object) -> Sequence[Message]:
        draft = _begin(payload, values, kind)
        secret = {name: value for name, value in values.items() if name != "configuration"}
        _fill(draft, secret)
        settings = values.get("configuration")
        if isinstance(settings, dict):
            found: dict[str, Any] = settings
            draft.tree({name: value for name, value in found.items() if name.lower() not in _SECRET}, "configuration")
        return draft.messages()

    return make


def _encrypted(payload: Payload, values: Object) -> Sequence[Message]:
    del payload, values
    raise Rejected("encrypted", "this OwnTracks app encrypts what it says: clear its encryption key")


_KINDS: Mapping[str, Callable[[Payload, Object], Sequence[Message]]] = {
    "location": _location,
    "transition": _transition,
    "lwt": _lwt,
    "waypoint": _regions("event"),
    "waypoints": _regions("description"),
    "beacon": _beacon,
    "steps": _steps,
    "step": _steps,
    "card": _description,
    "configuration": _description,
    "status": _description,
    "dump": _description,
    "cmd": _said("command"),
    "request": _said("event"),
    "encrypted": _encrypted,
}
