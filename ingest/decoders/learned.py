"""What devices say once and refer to ever after (names of numbers, types, units), as every gateway knows it.

In: what decoders have read in this process, and entries of the compacted topic `learned` that any process has written.
Out: values by key; what has to be written. Of two that say different things of one key the later receipt counts, on
whatever gateway it was. Keys are owned by a device, so that they go when it is erased.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from headwater.saying import get_logger

log = get_logger()

SIZE = 128 * 1024
"""Bytes of one value at most: what a payload of usual size can teach."""
_EACH = 200
"""What a key costs beside its value, about."""


class Told(msgspec.Struct, omit_defaults=True, frozen=True):
    """An entry's value. `at`: when the payload was received that says so, microseconds since 1970 UTC."""

    at: int
    value: Any
    v: int = 1


class _Known(NamedTuple):
    at: int
    value: object
    size: int
    written: bytes


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Told).decode


class Learned:
    """`most` keys and `most_size` bytes; what does not fit is not kept. `write(key, value)`: put it on the log."""

    def __init__(self, most: int, most_size: int = 64 * 2**20) -> None:
        self.write: Callable[[bytes, bytes], None] | None = None
        self._most = most
        self._most_size = most_size
        self._known: dict[str, _Known] = {}
        self._below: dict[str, dict[str, None]] = {}
        self._size = 0
        self._full = False

    def recall(self, key: str) -> object:
        """What is known of it; the same object until something else is."""
        known = self._known.get(key)
        return None if known is None else known.value

    def below(self, key: str) -> Sequence[str]:
        """What follows `key/` in the keys that are known, of those with one level more."""
        return list(self._below.get(key, ()))

    def learn(self, device: str, key: str, value: object, at: int) -> bool:
        """Keep it, and have it written unless it is known; false if there is no room. `value`: as JSON has it."""
        before = self._known.get(key)
        name = f"{device}/{key}".encode()
        said = _encode(value)
        if before is not None and before.written == said:
            return True
        if not self._keep(key, _Known(at, value, len(name) + 2 * len(said) + _EACH, said)):
            return False
        if self.write is not None:
            self.write(name, _encode(Told(at, value)))
        return True

    def apply(self, name: bytes, value: bytes | None) -> None:
        """An entry of the topic, in its order. Raises `msgspec.DecodeError` where it is none."""
        key = name.decode().partition("/")[2]
        before = self._known.get(key)
        if value is None:
            if before is not None:
                self._forget(key)
            return
        told = _decode(value)
        if before is not None and before.at >= told.at:
            return
        said = _encode(told.value)
        if before is not None and before.written == said:
            self._known[key] = before._replace(at=told.at)
        else:
            self._keep(key, _Known(told.at, told.value, len(name) + 2 * len(said) + _EACH, said))

    def _keep(self, key: str, known: _Known) -> bool:
        before = self._known.get(key)
        size = self._size + known.size - (before.size if before is not None else 0)
        fits = len(known.written) <= SIZE and size <= self._most_size
        if not fits or (before is None and len(self._known) >= self._most):
            if not self._full:
                self._full = True
                log.warning("what devices tell once is too much to be kept", keys=len(self._known), size=self._size)
            return False
        if before is None:
            above, _, name = key.rpartition("/")
            self._below.setdefault(above, {})[name] = None
        self._known[key] = known
        self._size = size
        return True

    def _forget(self, key: str) -> None:
        self._size -= self._known.pop(key).size
        above, _, name = key.rpartition("/")
        del self._below[above][name]
        if not self._below[above]:
            del self._below[above]
