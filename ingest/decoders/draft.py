"""A message in the making, for decoders of foreign formats: values sorted into fields and texts, sentinels left out.

In: values as a payload gave them, with their names. Out: a `Message` that keeps to the bounds of `ingest.bounds`.

Names are the maker's own, levels of nesting joined by dots (`SI7021.Temperature`, `switch:0.apower`, `fix.0`). Every
unit is normalised to that of `ingest.decoders.units`; where a value is left out because it cannot be one, a text
`note.NAME` says why. Kinds of messages: `telemetry`, `status` (text `status`: online, offline: last wills, births),
`event` (something happened once), `description` (what the device is: texts `name`, `model`, `manufacturer`,
`firmware`, `unit.FIELD`), `command` (said to the device, by others: names begin with
`command.`, so that nothing of it is taken for what the device says).
"""

from collections.abc import Mapping
from hashlib import blake2b
from math import isfinite
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message, Number, Position
from ingest.contract import Payload
from ingest.decoders.parts import EXACT, LEAST, NUMBERS, short

TEXT = 1024
NAME = 128
DEPTH = 32
MOST = 256
COMMAND = "command"
SCALARS = frozenset({float, int, str, bool, type(None)})
"""What JSON's values are, beside objects and arrays. A look at the class is cheap, one at `Mapping` is dear."""

_PLACES = tuple(map(str, range(MOST)))
"""Names of an array's first values, written out once; that is worth its while from about so many on:"""

_MANY = 16

_ARRAYS = (list, tuple)
_NESTED = (dict, *_ARRAYS, Mapping)
_REMEMBERED = 10_000
_good: set[str] = set()
"""Names that were looked at once and may be names of fields."""

NOTHING = frozenset({"", "null", "none", "None", "unknown", "unavailable", "N/A", "n/a", "NaN", "nan", "undefined"})


class Draft:
    """Begin with the device; `put`, `tree` and the attributes fill it; `message()` ends it."""

    __slots__ = ("_received", "at", "device", "fields", "heard_by", "id", "kind", "position", "seq", "texts")

    def __init__(self, payload: Payload, device: str = "", kind: str = "telemetry") -> None:
        own = device or payload.source.device
        if not own:
            raise Rejected("missing_device", "name the device in the payload, the topic or the path")
        self.device = own
        self.kind = kind
        self.at: int | None = None
        self.seq: int | None = None
        self.id = ""
        self.fields: dict[str, Number] = {}
        self.texts: dict[str, str] = {}
        self.position: Position | None = None
        self.heard_by: list[Heard] = []
        self._received = payload.received

    def put(self, name: str, value: Any) -> None:
        """Any scalar: numbers and booleans are fields, texts texts; null, blank and "unavailable" are nothing."""
        kind = value.__class__
        if kind is float:
            if isfinite(value):
                self.fields[name] = value
            else:
                self.note(name, "not a finite number")
        elif kind is str:
            if value not in NOTHING:
                self.texts[name] = value if len(value) <= TEXT else value[: TEXT - 1] + "…"
        elif kind is bool:
            self.fields[name] = value
        elif isinstance(value, int):
            if LEAST <= value <= EXACT:
                self.fields[name] = value
            else:
                self.texts[name] = str(value)
        elif isinstance(value, str):
            self.put(name, str(value))
        elif value is not None:
            raise Rejected("bad_shape", f"{short(name)} is {kind.__name__}; a value is a number or a text")

    def number(self, name: str, value: Any) -> None:
        """`put`, and a text that is a number is one: `"21.5"`, `" 7 "`; any other text stays a text."""
        if isinstance(value, str):
            found = numeric(value)
            if found is not None:
                value = found
        self.put(name, value)

    def tree(self, value: Any, prefix: str = "") -> None:
        """Every scalar below an object or array, by its path."""
        if value.__class__ not in SCALARS and isinstance(value, _NESTED):
            self._below(value, f"{prefix}." if prefix else "", DEPTH)
        else:
            self.put(prefix, value)

    def _below(self, value: Any, before: str, depth: int) -> None:
        """One level, and what is below it. `before`: the path to it, with its dot. A call a value would be dear."""
        if not depth:
            raise Rejected("too_deep", f"objects or arrays are nested more than {DEPTH} deep")
        if len(before) > NAME:
            before = f"{shared(before[:-1])}."
        if isinstance(value, _ARRAYS):
            pairs = zip(_PLACES, value, strict=False) if _MANY <= len(value) <= MOST else enumerate(value)
        else:
            pairs = value.items()
        fields = self.fields
        for key, item in pairs:
            kind = item.__class__
            if (kind is float and isfinite(item)) or (kind is int and LEAST <= item <= EXACT) or kind is bool:
                fields[f"{before}{key}"] = item
            elif kind is str and len(item) <= TEXT:
                if item not in NOTHING:
                    self.texts[f"{before}{key}"] = item
            elif kind not in SCALARS and isinstance(item, _NESTED):
                self._below(item, f"{before}{key}.", depth - 1)
            elif item is not None:
                self.put(f"{before}{key}", item)

    def note(self, name: str, why: str) -> None:
        """Say why a value is not there."""
        self.texts[f"note.{name}"] = why[:TEXT]

    def place(self, lat: Any, lon: Any, alt: Any = None, accuracy: Any = None) -> None:
        """Where it is; (0, 0) and what is no place on Earth is noted. Numeric texts are taken."""
        north, east = as_float(lat), as_float(lon)
        if north is None or east is None:
            return
        if not (-90 <= north <= 90 and -180 <= east <= 180):
            self.note("position", f"{north}, {east} is no place")
        elif north == 0 == east:
            self.note("position", "0, 0: no fix")
        else:
            far = as_float(accuracy)
            self.position = Position(north, east, as_float(alt), far if far is not None and far >= 0 else None)

    def message(self) -> Message:
        """What it came to. Names longer than a field's may be are shortened; what has nothing in it is rejected."""
        fields, texts = self.fields, self.texts
        if not fields and not texts and self.position is None and not self.heard_by:
            raise Rejected("no_fields", "there is no value in it")
        if len(fields) + len(texts) > MOST:
            raise Rejected("too_many_fields", f"a message has at most {MOST} fields and texts")
        if self.kind == COMMAND:  # what is said to a device is not what it says: its own values stay
            fields = {said_to(name): value for name, value in fields.items()}
            texts = {said_to(name): text for name, text in texts.items()}
        if not _good.issuperset(fields):
            fields = {_fit(name): value for name, value in fields.items()}
        if not _good.issuperset(texts):
            texts = {_fit(name): text for name, text in texts.items()}
        return Message(
            self.device,
            self.id,
            self._received,
            self._received,
            self.at,
            self.seq,
            "",
            "",
            self.kind,
            fields,
            texts,
            self.position,
            self.heard_by,
        )

    def messages(self) -> list[Message]:
        """`message`, in as many parts as it takes: what is too much for one message is said in several."""
        if len(self.fields) + len(self.texts) <= MOST:
            return [self.message()]
        names = [*self.fields, *self.texts]
        fields, texts, made = self.fields, self.texts, list[Message]()
        for start in range(0, len(names), MOST):
            part = names[start : start + MOST]
            self.fields = {name: fields[name] for name in part if name in fields}
            self.texts = {name: texts[name] for name in part if name in texts and name not in self.fields}
            made.append(self.message())
            self.position, self.heard_by = None, []
        return made

    @property
    def empty(self) -> bool:
        """True as long as nothing was said."""
        return not (self.fields or self.texts or self.heard_by or self.position)


def _fit(name: str) -> str:
    """A name that a field may have; what had to be changed ends in four digits that keep it apart from others."""
    if 0 < len(name) <= NAME and name.isprintable():
        if len(_good) >= _REMEMBERED:
            _good.clear()
        _good.add(name)
        return name
    mark = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=2).hexdigest()
    plain = "".join(letter if letter.isprintable() else "_" for letter in name[: NAME - 5])
    return f"{plain}~{mark}"


def shared(name: str, most: int = NAME) -> str:
    """A name that stands before many others, shortened if it is longer than `most`, so that each is not as long."""
    return name if len(name) <= most else _fit(name)


def said_to(name: str) -> str:
    """A value's name in a command: `POWER` → `command.POWER`."""
    return name if name == COMMAND or name.startswith(f"{COMMAND}.") else f"{COMMAND}.{name}"


def numeric(text: str) -> int | float | None:
    """The number that a text is, decimal and finite, or None."""
    if text.isdigit() and text.isascii() and len(text) < 20:
        return int(text)
    body = text.strip()
    if not body or body[-1] not in "0123456789." or body[0].isalpha() or "_" in body:
        return None
    try:
        if "." not in body:
            return int(body)
    except ValueError:
        pass
    try:
        value = float(body)
    except ValueError:
        return None
    return value if isfinite(value) else None


def as_float(value: Any) -> float | None:
    """A finite number of a number or numeric text, else None."""
    if isinstance(value, str):
        value = numeric(value)
    if value.__class__ is not float:
        if isinstance(value, bool) or not isinstance(value, NUMBERS):
            return None
        try:
            value = float(value)
        except OverflowError:
            return None
    return value if isfinite(value) else None
