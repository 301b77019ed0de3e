"""Models: what a kind of device may say, made into one check a model.

In: `config.models` and the registry's choice for a device. Out: a function that raises `Rejected`, or None where the
model asks for nothing.
"""

import re
from collections.abc import Callable, Mapping
from math import inf

from headwater.config_models import FieldModel, Model
from headwater.errors import Rejected
from headwater.message import Message, Number
from ingest.decoders.parts import short

Check = Callable[[Message], None]
"""Raises `Rejected` if the message is not what its model allows."""

DEFAULT = "default"


class Models:
    """All models, compiled. Chosen by the registry, else by the device's name (exact, then patterns), else default."""

    def __init__(self, models: Mapping[str, Model], model_of: Callable[[str], str]) -> None:
        self._model_of = model_of
        self._checks = {name: compile_check(model) for name, model in models.items()}
        self._exact: dict[str, str] = {}
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        for name, model in models.items():
            for device in model.devices:
                if "*" in device:
                    self._patterns.append((_pattern(device), name))
                else:
                    self._exact.setdefault(device, name)

    def name_for(self, device: str) -> str:
        """The model's name; `default` too where there is no such model. It takes some microseconds: keep the answer."""
        chosen = self._model_of(device)
        if chosen in self._checks:
            return chosen
        if device in self._exact:
            return self._exact[device]
        return next((name for pattern, name in self._patterns if pattern.fullmatch(device)), DEFAULT)

    def check_of(self, model: str) -> Check | None:
        """What a model of this name asks for."""
        return self._checks.get(model)


def _pattern(devices: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in devices.split("*")))


def compile_check(model: Model) -> Check | None:
    """One function for all of a model's rules; None if there are no fields and it is not strict."""
    if not model.fields and not model.strict:
        return None
    numbers = tuple(_number(name, field) for name, field in model.fields.items() if field.type in {"number", "integer"})
    booleans = tuple(name for name, field in model.fields.items() if field.type == "boolean")
    texts = {name: field.values for name, field in model.fields.items() if field.type == "text"}
    not_texts = frozenset(model.fields.keys() - texts.keys())
    required = frozenset(name for name, field in model.fields.items() if field.required)
    known = frozenset(model.fields)
    strict = model.strict

    def check(message: Message) -> None:
        fields = message.fields
        for name, low, high, whole in numbers:
            value = fields.get(name)
            if value is not None and (value is True or value is False or not low <= value <= high or whole):
                _check_number(name, value, low, high, whole=whole)
        for name in booleans:
            if not isinstance(fields.get(name, False), bool):
                raise Rejected("wrong_type", f"{short(name)} is a number; its model says boolean")
        if texts or message.texts:
            _check_texts(message, texts, not_texts)
        if required and not required.issubset(fields):
            _check_required(message, required)
        if strict:
            _check_known(message, known)

    return check


def _number(name: str, field: FieldModel) -> tuple[str, float, float, bool]:
    low = -inf if field.min is None else field.min
    high = inf if field.max is None else field.max
    return name, low, high, field.type == "integer"


def _check_number(name: str, value: Number, low: float, high: float, *, whole: bool) -> None:
    if isinstance(value, bool):
        raise Rejected("wrong_type", f"{short(name)} is a boolean; its model says {'integer' if whole else 'number'}")
    if whole and isinstance(value, float) and not value.is_integer():
        raise Rejected("wrong_type", f"{short(name)} is {value:g}; its model says integer")
    if not low <= value <= high:
        limits = f"at least {low:g}" if high == inf else f"at most {high:g}" if low == -inf else f"{low:g} to {high:g}"
        raise Rejected("out_of_range", f"{short(name)} is {value:g}; its model allows {limits}")


def _check_texts(message: Message, texts: Mapping[str, tuple[str, ...] | None], not_texts: frozenset[str]) -> None:
    for name in message.texts:
        if name in not_texts:
            raise Rejected("wrong_type", f"{short(name)} is a text; its model says number, integer or boolean")
    for name, allowed in texts.items():
        if name in message.fields:
            raise Rejected("wrong_type", f"{short(name)} is not a text; its model says text")
        value = message.texts.get(name)
        if value is not None and allowed is not None and value not in allowed:
            raise Rejected("out_of_range", f"{short(name)} is none of {', '.join(allowed)}")


def _check_required(message: Message, required: frozenset[str]) -> None:
    missing = sorted(required - message.fields.keys() - message.texts.keys())
    if missing:
        raise Rejected("missing_field", f"{short(missing[0])} is required by the model")


def _check_known(message: Message, known: frozenset[str]) -> None:
    for names in (message.fields, message.texts):
        for name in names:
            if name not in known:
                raise Rejected("unknown_field", f"{short(name)} is not in the model, which is strict")
