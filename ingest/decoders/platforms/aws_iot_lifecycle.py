"""AWS IoT events: things that connect, disconnect, subscribe, are made or changed, and what a rule could not do.

Topics: `$aws/events/presence/connected/CLIENT`, `.../disconnected/CLIENT`, `$aws/events/subscriptions/...` and all
others below `$aws/events/`, also below a prefix; by HTTP `?decoder=aws_iot_lifecycle`.

    {"clientId": "pump-7", "timestamp": 1763700000000, "eventType": "disconnected", "disconnectReason": "AUTH_ERROR"}

Comes out: device `pump-7`, a status `online` or `offline` with what else is said (`disconnectReason`, `ipAddress`);
everything else is an event of the client or thing. `versionNumber` is `seq`, `eventId` is the id.

Source of the format: AWS IoT Core developer guide, "Lifecycle events", "Registry events", "Job events" and "Diagnosing
rules issues".
"""

from collections.abc import Sequence

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.naming import device_name
from ingest.decoders.platforms.jsons import read_object, text_at

_STATUS = {"connected": "online", "disconnected": "offline"}
_WHO = ("clientId", "thingName", "thingArn", "resourceId", "jobId", "certificateId", "thingTypeName", "thingGroupName")
_SKIPPED = frozenset({"timestamp", "versionNumber", "eventId"})


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message."""
    if not payload.data.strip():
        return ()
    said = read_object(payload.data)
    what = text_at(said, "eventType")
    if not what:
        raise Rejected("missing_field", "an event of AWS IoT has an `eventType`")
    status = _STATUS.get(what)
    draft = Draft(payload, _device(payload, text_at(said, *_WHO)), "status" if status else "event")
    draft.at = instant(said.get("timestamp"))
    version = said.get("versionNumber")
    if isinstance(version, int) and not isinstance(version, bool) and version >= 0:
        draft.seq = version
    unique = text_at(said, "eventId")
    draft.id = unique if unique.isprintable() and len(unique) <= 64 else ""
    draft.put("status" if status else "event", status or what)
    draft.tree({name: value for name, value in said.items() if name not in _SKIPPED})
    if status:
        draft.texts["status"] = status  # a rule's log has a `status` of its own, but is no presence
    return draft.messages()


def _device(payload: Payload, who: str) -> str:
    if who:
        return device_name(who.rpartition("/")[2])
    levels = payload.source.topic.split("/")
    return device_name(levels[-1]) if "$aws" in levels and levels[-1] else payload.source.device
