"""What every message must keep to, whichever decoder made it: something in it, not too much, numbers that are numbers.

In: a message. Out: nothing, or `Rejected`.
"""

from collections.abc import Iterable
from math import isfinite

from headwater.config import Ingest
from headwater.errors import Rejected
from headwater.message import Message
from ingest.decoders.parts import check_sizes, short

NAME_LENGTH = 128
_REMEMBERED = 10_000


class Bounds:
    """The configured bounds. `good`: names of fields that were good once, at most 10,000 of them.

    The hot path itself lets pass what has 1 to `most` numeric fields of good names and neither texts nor `heard_by`.
    """

    def __init__(self, config: Ingest) -> None:
        self.most = config.fields
        self._length = config.text_length
        self.good: set[str] = set()

    def check(self, message: Message) -> None:
        """For the native decoder, whose types leave no other way to be wrong."""
        fields, texts = message.fields, message.texts
        if fields:
            if not self.good.issuperset(fields):
                self._check_names(fields)
        elif not texts and message.position is None and not message.heard_by:
            raise Rejected("no_fields", "there is no field, no text, no position and no `heard_by` in it")
        if texts:
            self._check_texts(texts)
        if len(fields) + len(texts) > self.most or len(message.heard_by) > self.most:
            raise Rejected("too_many_fields", f"a message has at most {self.most} fields and texts")

    def check_foreign(self, message: Message) -> None:
        """For all other decoders: also what Python lets pass and JSON, SQL and maps do not."""
        self.check(message)
        check_sizes(message.fields)
        for name, value in message.fields.items():
            if not isfinite(value):
                raise Rejected("bad_value", f"{short(name)} is not a finite number")
        place = message.position
        if place is not None and not (-90 <= place.lat <= 90 and -180 <= place.lon <= 180):
            raise Rejected("bad_position", "latitude is from -90 to 90 degrees, longitude from -180 to 180")

    def _check_texts(self, texts: dict[str, str]) -> None:
        if not self.good.issuperset(texts):
            self._check_names(texts)
        for name, text in texts.items():
            if len(text) > self._length:
                raise Rejected("bad_value", f"{short(name)} has {len(text)} characters; at most {self._length}")

    def _check_names(self, names: Iterable[str]) -> None:
        for name in names:
            if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
                raise Rejected("bad_shape", f"a field's name has 1 to {NAME_LENGTH} printable characters")
        if len(self.good) >= _REMEMBERED:
            self.good.clear()
        self.good.update(names)


def check_size(data: bytes, most: int) -> None:
    """Raise `Rejected` if a payload has more than `most` bytes."""
    if len(data) > most:
        raise Rejected("too_large", f"{len(data)} bytes; a message has at most {most}")
