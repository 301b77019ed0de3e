"""Ids: what makes a retry recognisable. 64 bits in 16 hex digits, unless the device brings its own.

In: a device's own id, or the bytes it sent. Out: the id of a message or candidate, unique within its device.
"""

import os
import re
from hashlib import blake2b
from itertools import count

from headwater.errors import Rejected

DEVICE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@=-]{0,127}")
"""A device's name: it stands in topics, paths and file names, so no slash, wildcard, space or leading dot."""

ID_LENGTH = 64
DIGEST_SIZE = 8
"""Bytes of an id that is a hash."""

_digest = blake2b
_fresh = count(int.from_bytes(os.urandom(8), "big"))


def check_device(name: str) -> str:
    """Return the name, or raise `Rejected("bad_device")`."""
    if DEVICE_PATTERN.fullmatch(name) is None:
        shown = name if len(name) <= 40 else name[:40] + "…"
        raise Rejected(
            "bad_device", f"{shown!r} is not a device name: 1 to 128 letters, digits or _ . : @ = -, not a mark first"
        )
    return name


def check_id(own: str) -> str:
    """Return the device's own message id, or raise `Rejected("bad_id")`: 1 to 64 printable characters."""
    if not 0 < len(own) <= ID_LENGTH or not own.isprintable():
        raise Rejected("bad_id", f"an id has 1 to {ID_LENGTH} printable characters, this one has {len(own)}")
    return own


def hashed(*parts: bytes) -> str:
    """The id of what these bytes say: BLAKE2b, 64 bits. Parts are kept apart, so ("ab", "c") is not ("a", "bc")."""
    return _digest(b"\x00".join(parts), digest_size=DIGEST_SIZE).hexdigest()


def fresh() -> str:
    """An id of its own for a message that gave neither id, time nor sequence: its retry is another message."""
    return f"{next(_fresh) & 0xFFFFFFFFFFFFFFFF:016x}"
