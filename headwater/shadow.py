"""A device's shadow: what it said it is (`reported`), what it shall be (`desired`), and how the two differ.

In: changes, as RFC 7396 merge patches of the two. Out: the shadow with its next version. Each version is an entry of
its own on the compacted topic `shadows`, and of two entries with one version the first in the log counts: who wrote the
other one has lost against it, on every gateway alike.
"""

import re
from typing import Any, cast

import msgspec

from headwater.errors import Rejected
from headwater.ids import check_device
from headwater.message import UNREADABLE

SIZE = 8 * 2**10
"""Bytes of `desired` and `reported` together at most, as JSON."""
DEPTH = 8
TOKEN = 64
"""Characters of the text by which a client knows the answer to its own change."""

Tree = dict[str, Any]

_KEY = re.compile(r"[0-9]{1,15}/[0-9a-f]{16}")


class Shadow(msgspec.Struct, omit_defaults=True, frozen=True):
    """An entry's value: all of it. `version` 0: there is none. `changed`: microseconds since 1970 UTC.

    `token`: what the client gave with the change. `removed`: it was deleted; a later change counts on.
    """

    version: int = 0
    changed: int = 0
    desired: Tree = {}
    reported: Tree = {}
    token: str = ""
    removed: bool = False

    @property
    def there(self) -> bool:
        """There is one."""
        return self.version > 0 and not self.removed

    @property
    def delta(self) -> Tree:
        """What is desired and not reported so."""
        return difference(self.desired, self.reported)

    def document(self) -> Tree:
        """As people and devices get it. Times: milliseconds."""
        told: Tree = {"version": self.version, "desired": self.desired, "reported": self.reported, "delta": self.delta}
        told["changed"] = self.changed // 1000
        return told | ({"token": self.token} if self.token else {})


class ShadowChange(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a client sends. A null deletes a key; in the place of `desired` or `reported` all of it.

    `version`: change it only if it still has this one, 0 if there is none.
    """

    desired: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    reported: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    version: int | None = None
    token: str = ""


encode_shadow = msgspec.json.Encoder().encode
decode_shadow = msgspec.json.Decoder(Shadow).decode
_decode_change = msgspec.json.Decoder(ShadowChange).decode


def read_change(data: bytes) -> ShadowChange:
    """A change from its JSON. Raises `Rejected`."""
    if len(data) > 2 * SIZE:
        raise Rejected("too_large", f"a change has {2 * SIZE} bytes at most, this one has {len(data)}")
    try:
        change = _decode_change(data)
    except msgspec.ValidationError as error:
        raise Rejected("bad_shape", f"a change has desired, reported, version, token: {error}") from None
    except UNREADABLE as error:
        raise Rejected("bad_json", str(error)) from None
    if len(change.token) > TOKEN:
        raise Rejected("bad_value", f"a token has {TOKEN} characters at most")
    if change.desired is msgspec.UNSET and change.reported is msgspec.UNSET:
        raise Rejected("no_fields", "a change says `desired`, or `reported`, or both")
    return change


def changed(known: Shadow, change: ShadowChange, at: int) -> Shadow:
    """The shadow with its next version. Raises `Rejected`."""
    after = Shadow(
        known.version + 1,
        at,
        _section(known.desired, change.desired),
        _section(known.reported, change.reported),
        change.token,
    )
    size = len(msgspec.json.encode([after.desired, after.reported])) - 3
    if size > SIZE:
        raise Rejected("too_large", f"a shadow has {SIZE} bytes at most, this one would have {size}")
    return after


def removed(known: Shadow, at: int) -> Shadow:
    """The version that says it is deleted."""
    return Shadow(known.version + 1, at, removed=True)


def difference(desired: Tree, reported: Tree) -> Tree:
    """What of `desired` is not so in `reported`; of objects in both, what differs within."""
    found: Tree = {}
    for name, value in desired.items():
        other = reported.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            within = difference(cast("Tree", value), cast("Tree", other))
            if within:
                found[name] = within
        elif name not in reported or not _same(value, other):
            found[name] = value
    return found


def merged(known: Tree, change: Tree, depth: int = 1) -> Tree:
    """RFC 7396. Raises `Rejected` where it goes too deep."""
    if depth > DEPTH:
        raise Rejected("too_deep", f"a shadow has {DEPTH} levels at most")
    after = dict(known)
    for name, value in change.items():
        if value is None:
            after.pop(name, None)
        elif isinstance(value, dict):
            before = after.get(name)
            within = cast("Tree", before) if isinstance(before, dict) else {}
            after[name] = merged(within, cast("Tree", value), depth + 1)
        else:
            _check_depth(value, depth)
            after[name] = value
    return after


def key_of(device: str, version: int, nonce: str) -> bytes:
    """The entry's key on topic `shadows`. `nonce`: 16 hex digits that keep it apart from its rivals'."""
    return f"{device}/{version}/{nonce}".encode()


def device_of(key: bytes) -> str:
    """Whose shadow the entry is about. Raises `Rejected`."""
    device, _, rest = key.decode("utf-8", "replace").partition("/")
    if _KEY.fullmatch(rest) is None:
        raise Rejected("bad_id", f"{rest[:80]!r} is no version of a shadow")
    return check_device(device)


def _section(known: Tree, change: Tree | msgspec.UnsetType | None) -> Tree:
    if change is msgspec.UNSET:
        return known
    return {} if change is None else merged(known, change)


def _check_depth(value: object, depth: int) -> None:
    if isinstance(value, list):
        if depth >= DEPTH:
            raise Rejected("too_deep", f"a shadow has {DEPTH} levels at most")
        for item in cast("list[object]", value):
            _check_depth(item, depth + 1)
    elif isinstance(value, dict):
        for item in cast("Tree", value).values():
            _check_depth(item, depth + 1)


def _same(one: object, other: object) -> bool:
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")
