"""JSON of Telegraf, as its outputs write it, and any JSON that Telegraf's JSON parsers would have been set up for.

By HTTP `?decoder=telegraf_json`, by MQTT below `telegraf/HOST/`. Telegraf's own metrics, one or a batch of them:

    {"name": "cpu", "tags": {"host": "pump-7", "cpu": "cpu0"}, "fields": {"usage_idle": 97.5}, "timestamp": 1763700000}

Comes out: device `pump-7`, field `cpu.usage_idle` = 97.5, tags as texts; one message a metric. Any other JSON is
taken as it is: a message for the object, or for each object of an array at the root, with every value by its path
(`features.0.properties.mag`). The device is what is called `device`, `device_id`, `host` or the like, else that of the
topic or path; the time is what is called `timestamp`, `time`, `ts` or the like, if it is one.

A Telegraf configuration can rename and pick; what the JSON itself does not say is better said in a mapping of your own.
Source of the format: Telegraf's JSON serializer and its parsers `json` and `json_v2`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, shared
from ingest.decoders.many import each
from ingest.decoders.naming import device_name
from ingest.decoders.platforms.tags import device_tag

_TIMES = ("timestamp", "time", "ts", "datetime", "created_at", "createdat", "when", "dt")
_BARE = frozenset({"battery", "rssi"})
_read = msgspec.json.Decoder().decode


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A message for each metric or object."""
    data = payload.data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        return ()
    try:
        said = _read(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Rejected("bad_json", f"this is no JSON: {problem}") from None
    batch = said.get("metrics") if isinstance(said, dict) else None
    if isinstance(batch, list) and any(isinstance(one, dict) and "fields" in one for one in batch):
        said = batch
    return each(said if isinstance(said, list) else [said], lambda one: _messages(payload, one))


def _messages(payload: Payload, one: Any) -> list[Message]:
    if not isinstance(one, dict):
        raise Rejected("bad_shape", "Telegraf's JSON is an object, or an array of objects")
    fields, tags = one.get("fields"), one.get("tags", {})
    if isinstance(one.get("name"), str) and isinstance(fields, dict) and isinstance(tags, dict):
        return _metric(payload, one["name"], fields, tags, one.get("timestamp"))
    return _any(payload, one)


def _metric(
    payload: Payload, name: str, fields: Mapping[str, Any], tags: Mapping[str, Any], time: Any
) -> list[Message]:
    device = device_tag(tags)
    draft = Draft(payload, device_name(device) if device else "")
    draft.at = instant(time)
    name = shared(name)
    for key, value in tags.items():
        draft.tree(value, key)
    for key, value in fields.items():
        draft.tree(value, key if key in _BARE else f"{name}.{key}")
    return draft.messages()


def _any(payload: Payload, one: Mapping[str, Any]) -> list[Message]:
    device = device_tag(one)
    draft = Draft(payload, device_name(device) if device else "")
    draft.at = _time(one)
    draft.tree(one)
    return draft.messages()


def _time(one: Mapping[str, Any]) -> int | None:
    named = {key.lower(): value for key, value in one.items() if len(key) <= 10}
    for name in _TIMES:
        if name in named:
            found = instant(named[name])
            if found is not None:
                return found
    return None
