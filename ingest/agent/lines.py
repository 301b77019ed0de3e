"""A line as it is buffered: with the id and the time that it would otherwise get when it arrives, too late. Pure.

In: what a device said, and when. Out: one line of JSON. What is no JSON object is left as it is: Headwater says what is
wrong with it.
"""

import json
import uuid
from typing import Any, cast

from headwater.ids import hashed

_NAMES = ("device", "device_id")
_SEQUENCES = ("seq", "sequence")


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
