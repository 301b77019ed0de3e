"""A line as it is buffered: with the id and the time that it would otherwise get when it arrives, too late. Pure.

In: what a device said, and when. Out: one line of JSON. What is no JSON object is left as it is: Headwater says what is
wrong with it.
"""

import json
import uuid
from base64 import b64encode
from typing import Any, cast

from headwater.ids import hashed

_NAMES = ("device", "device_id")
_SEQUENCES = ("seq", "sequence")


def passed_on(topic: str, payload: bytes, now: int) -> bytes:
    """A payload of a foreign format, with its topic (`ingest.decoders.passed_on`). `now`: milliseconds since 1970."""
    own = uuid.uuid4().hex[:16]
    said = {"passed_on": 1, "topic": topic, "payload_base64": b64encode(payload).decode(), "at": now, "id": own}
    return json.dumps(said, separators=(",", ":")).encode()


def names_device(payload: bytes) -> bool:
    """True for an object in Headwater's own form that says whose it is."""
    try:
        found: Any = json.loads(payload)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and any(name in found for name in _NAMES)


def buffered(line: bytes, now: int, device: str = "", *, again: bool = False) -> bytes:
    """`now`: milliseconds since 1970. `device`: named by the topic, "" if only the line can say.

    `again`: the source may say the same line twice. With a time or sequence of its own it then has the same id twice.
    """
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return b" ".join(line.splitlines())
    message = cast("dict[str, Any]", found)
    if device and not any(name in message for name in _NAMES):
        message["device"] = device
    if "id" not in message:
        own = "at" in message or any(name in message for name in _SEQUENCES)
        message["id"] = hashed(line) if again and own else uuid.uuid4().hex[:16]
    message.setdefault("at", now)
    return json.dumps(message, separators=(",", ":")).encode()
