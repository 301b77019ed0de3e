"""Eclipse Hono: telemetry, events and command responses by the topics of its MQTT adapter.

Topics: `telemetry`, `event` and `command/...`, or short `t`, `e`, `c`, alone or as `telemetry/TENANT/DEVICE`, where the
tenant may be blank or missing; properties may follow (`event/TENANT/DEVICE/?hono-ttl=10`). By HTTP
`?decoder=eclipse_hono`, best with `&topic=`. The content is whatever the device sends: JSON as in `{"temp": 5}`, one
value, a text, or bytes.

Comes out: device `DEVICE`, or whoever has logged in; telemetry, or for `event` a message of kind `event`, with the
values by their paths; one value alone is `value`. A command is of kind `command`, its response an event with `status`.
Messages of the Ditto protocol in it are read as such. An event without content only says that the device is there.

Source of the format: Eclipse Hono documentation, "MQTT Adapter" and "HTTP Adapter".
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.draft import Draft, numeric
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short
from ingest.decoders.platforms import eclipse_ditto

_KINDS = {
    "telemetry": "telemetry",
    "t": "telemetry",
    "event": "event",
    "e": "event",
    "command": "command",
    "c": "command",
}
_MOST_BYTES = 64
_read = msgspec.json.Decoder().decode


class _Place(NamedTuple):
    """What the topic says. `status`: the code of a command's response; `command`: what is commanded."""

    kind: str
    device: str = ""
    tenant: str = ""
    status: str = ""
    command: str = ""


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message, or what the Ditto protocol in it says."""
    place = _place(payload.source.topic)
    data = payload.data
    if eclipse_ditto.recognises(data):
        return eclipse_ditto.decode(payload)
    if not data and not place.status and not place.command:
        return ()
    draft = Draft(payload, device_name(place.device) if place.device else "", place.kind)
    draft.put("tenant", place.tenant)
    draft.put("command", place.command)
    if place.status:
        draft.number("status", place.status)
    _content(draft, data)
    return draft.messages()


def _content(draft: Draft, data: bytes) -> None:
    if not data:
        return
    said: Any
    try:
        said = _read(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = _plain(data)
    if isinstance(said, dict):
        draft.tree(said)
    else:
        draft.tree(said, "value")


def _plain(data: bytes) -> str | float:
    """Content that is no JSON: a number or text, else its bytes in hex."""
    if data.lstrip()[:1] in (b"{", b"["):
        raise Rejected("bad_json", "it begins as JSON and is none")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text:
        if len(data) > _MOST_BYTES:
            raise Rejected(
                "unsupported", f"{len(data)} bytes that are no text; which values are in it only the device knows"
            )
        return data.hex()
    found = numeric(text)
    return text if found is None else found


def _place(topic: str) -> _Place:
    """What a topic says; without one it is telemetry of the path's device."""
    levels = topic.partition("/?")[0].split("/") if topic else [""]
    start = next((place for place, level in enumerate(levels) if level in _KINDS), None)
    if start is None:
        if topic:
            raise Rejected(
                "bad_topic", f"topics of Hono begin with telemetry, event or command; {short(topic)} does not"
            )
        return _Place("telemetry")
    kind, rest = _KINDS[levels[start]], levels[start + 1 :]
    tenant, device = ("", rest[0]) if len(rest) == 1 else (*rest[:2], "", "")[:2]
    if kind != "command":
        return _Place(kind, device, tenant)
    if rest[2:3] in (["res"], ["s"]) and len(rest) >= 5:
        return _Place("event", device, tenant, status=rest[4])
    if rest[2:3] in (["req"], ["q"]) and len(rest) >= 4:
        return _Place("command", device, tenant, command=rest[4] if len(rest) > 4 else "")
    raise Rejected("bad_topic", "topics of commands are command/TENANT/DEVICE/req/ID/NAME and .../res/ID/STATUS")
