"""Your own JSON, without a line of code: a mapping in YAML says where device, time, place and values stand.

In: a mapping's text. Out: a `Family` that reads such payloads; `ConfigError` naming the key that is wrong.

```yaml
topics: ["greenhouse/{device}/state"]   # which topics it reads; {device} names the device
device: meta.serial                     # else a path, or a template: "house-{meta.house}-{id}"
time: ts                                # seconds, ms, µs, ns since 1970 or a date: the size tells
each: readings                          # one message for each item of this array or object
fields:
  temperature: {path: t, unit: F}       # to °C; also scale: 0.1, offset: -40
  door: {path: contact, values: {"0": open, "1": closed}}
position: {lat: gps.lat, lon: gps.lng}
absent: [-127, 65535]                   # numbers that mean "no value"
rest: keep                              # what no rule names, by its path; or drop
```
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from pydantic import Field, ValidationError, field_validator

from headwater.config_section import Section
from headwater.errors import ConfigError, Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, numeric
from ingest.decoders.family import Family
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short
from ingest.decoders.patterns import compile_pattern
from ingest.decoders.units import UNITS, normal

_MOST = 10_000
_parse = msgspec.json.Decoder[Any]().decode


class FieldRule(Section):
    """Where a value stands, and what to make of it."""

    path: str = Field(default="", description="Dots between levels; a number is an index. Empty: the field's own name.")
    unit: str = Field(default="", description="What the device counts in; it is converted to the usual one.")
    scale: float = Field(default=1.0, description="Multiplied with the number …")
    offset: float = Field(default=0.0, description="… and this added.")
    values: dict[str, str | float | bool] = Field(default={}, description="Value → what it means.")

    @field_validator("values", mode="before")
    @classmethod
    def _keys(cls, value: Any) -> Any:
        return {_text(key): one for key, one in value.items()} if isinstance(value, dict) else value  # pyright: ignore[reportUnknownVariableType]

    @field_validator("unit")
    @classmethod
    def _unit(cls, value: str) -> str:
        if value and value not in UNITS:
            raise ValueError(f"{value!r} is not known here; known are: {', '.join(UNITS)}")
        return value


class PlaceRule(Section):
    """Where the position stands: paths."""

    lat: str
    lon: str
    alt: str = ""
    accuracy: str = ""


class Rules(Section):
    """A whole mapping."""

    name: str = ""
    title: str = ""
    topics: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    device: str = ""
    time: str = ""
    sequence: str = ""
    id: str = ""
    kind: Literal["telemetry", "status", "event", "description"] = "telemetry"
    each: str = ""
    fields: dict[str, FieldRule | str] = Field(default={})
    position: PlaceRule | None = None
    absent: tuple[float | str, ...] = ()
    rest: Literal["keep", "drop"] = "keep"

    @field_validator("topics")
    @classmethod
    def _topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            compile_pattern(pattern)
        return value


def read_mapping(text: str, name: str = "") -> Family:
    """The family that a mapping describes. `name`: where the text gives none. Raises `ConfigError`."""
    import yaml  # noqa: PLC0415 - a megabyte and 60 ms, where somebody has brought a mapping

    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the mapping is no YAML: {str(error)[:300]}") from None
    except RecursionError:
        raise ConfigError("the mapping is nested far too deep") from None
    if not isinstance(tree, dict):
        raise ConfigError("a mapping is a YAML object with keys such as `topics` and `fields`")
    try:
        rules = Rules.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where or 'the mapping'}: {first['msg']}") from None
    name = rules.name or name
    if not name:
        raise ConfigError("name: give the mapping a name")
    return Family(name, _Reader(rules), rules.topics, (name, *rules.models), None, rules.title or name)


class _Reader:
    """`Decoder` by rules. `taken`: paths that rules have named, which are not kept again."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._fields: list[tuple[str, list[str], FieldRule]] = []
        for name, rule in rules.fields.items():
            whole = FieldRule(path=rule) if isinstance(rule, str) else rule
            self._fields.append((name, (whole.path or name).split("."), whole))
        place = rules.position
        own = [rules.time, rules.sequence, rules.id, *([] if "{" in rules.device else [rules.device])]
        where = [] if place is None else [place.lat, place.lon, place.alt, place.accuracy]
        self._taken = {path for path in (*own, *where) if path} | {".".join(path) for _, path, _ in self._fields}

    def __call__(self, payload: Payload) -> Sequence[Message | Rejected]:
        try:
            value = _parse(payload.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Rejected("bad_json", f"not JSON: {str(error)[:200]}") from None
        made: list[Message | Rejected] = []
        for key, item in self._items(value):
            if len(made) >= _MOST:
                raise Rejected("too_large", f"more than {_MOST:,} items in one payload")
            try:
                made += self._messages(payload, value, item, key)
            except Rejected as error:
                made.append(error)
        if len(made) == 1 and isinstance(made[0], Rejected):
            raise made[0]
        return made

    def _items(self, value: Any) -> Iterator[tuple[str, Any]]:
        """What is to be a message each, with its key or index."""
        each = self._rules.each
        found = _at(value, each.split(".")) if each not in {"", "."} else value
        if not each and not isinstance(value, list):
            yield "", value
        elif isinstance(found, Mapping):
            yield from ((str(key), item) for key, item in found.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        elif isinstance(found, list):
            yield from ((str(n), item) for n, item in enumerate(found))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        elif each:
            raise Rejected("missing_field", f"there is no array or object at {short(each)}")

    def _messages(self, payload: Payload, root: Any, item: Any, key: str) -> list[Message]:
        rules = self._rules

        def find(path: str) -> Any:
            if not path:
                return None
            if path == "$key":
                return key
            levels = path.split(".")
            found = _at(item, levels)
            return _at(root, levels) if found is None and item is not root else found

        draft = Draft(payload, self._device(find), rules.kind)
        self._frame(draft, find)
        for name, path, rule in self._fields:
            value = _at(item, path)
            if value is None and item is not root:
                value = _at(root, path)
            if value is not None:
                self._put(draft, name, value, rule)
        if rules.rest == "keep":
            self._keep(draft, item)
        return draft.messages()

    def _frame(self, draft: Draft, find: Callable[[str], Any]) -> None:
        """Time, sequence, id and place."""
        rules, place = self._rules, self._rules.position
        draft.at = instant(find(rules.time))
        sequence, own = find(rules.sequence), find(rules.id)
        if isinstance(sequence, int) and sequence >= 0:
            draft.seq = sequence
        if own is not None:
            draft.id = str(own)
        if place is not None:
            draft.place(find(place.lat), find(place.lon), find(place.alt), find(place.accuracy))

    def _device(self, find: Callable[[str], Any]) -> str:
        rule = self._rules.device
        if not rule:
            return ""
        if "{" not in rule:
            value = find(rule)
            return device_name(str(value)) if value is not None else ""
        parts: list[str] = []
        for n, part in enumerate(rule.replace("}", "{").split("{")):
            value = find(part) if n % 2 else part
            if value is None:
                raise Rejected("missing_device", f"the device is {short(rule)}, and there is no {short(part)}")
            parts.append(str(value))
        return device_name("".join(parts))

    def _put(self, draft: Draft, name: str, value: Any, rule: FieldRule) -> None:
        if isinstance(value, dict | list):
            draft.tree(value, name)
            return
        if rule.values and (meaning := rule.values.get(_text(value))) is not None:
            draft.put(name, meaning)
            return
        if isinstance(value, str) and (found := numeric(value)) is not None:
            value = found
        if self._absent(draft, name, value):
            return
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = value * rule.scale + rule.offset if (rule.scale, rule.offset) != (1.0, 0.0) else value
            value = normal(value, rule.unit) if rule.unit else value
        draft.put(name, value)

    def _absent(self, draft: Draft, name: str, value: Any) -> bool:
        if isinstance(value, bool) or value not in self._rules.absent:
            return False
        draft.note(name, f"{_text(value)} means no value")
        return True

    def _keep(self, draft: Draft, item: Any) -> None:
        kept = Draft.__new__(Draft)
        kept.fields, kept.texts = {}, {}
        kept.tree(item, "" if isinstance(item, dict | list) else "value")
        for name, value in (*kept.fields.items(), *kept.texts.items()):
            if name in self._taken or name in draft.fields or name in draft.texts:
                continue
            if not any(name.startswith(f"{path}.") for path in self._taken) and not self._absent(draft, name, value):
                draft.put(name, value)


def _at(value: Any, path: Sequence[str]) -> Any:
    for level in path:
        if isinstance(value, Mapping):
            value = value.get(level)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        elif isinstance(value, list) and level.isdigit() and int(level) < len(value):  # pyright: ignore[reportUnknownArgumentType]
            value = value[int(level)]  # pyright: ignore[reportUnknownVariableType]
        else:
            return None
    return value  # pyright: ignore[reportUnknownVariableType]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
