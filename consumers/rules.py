"""Selection rules as they stand on the log: what a `Rules` control entry carries.

In: the configuration's models, once, when they are published. Out: canonical JSON (sorted keys, no blanks: equal rules
are equal bytes), and from it a `RuleBook`. Selection asks nothing else, no configuration, no registry: whatever decides
about a candidate is in these bytes, so the same log gives the same candidates wherever it is read.
"""

import math
import re
from collections.abc import Mapping

import msgspec

from consumers.criteria import Deadband, FieldRule, ModelRule, Rule
from headwater.config import Selection
from headwater.config_models import FieldModel, Model
from headwater.errors import ConfigError

FORMAT = 1
FORGET = 30 * 86_400 * 1_000_000
"""Microseconds of the partition's clock after which a device that says nothing is forgotten."""

_DEFAULT = "default"
_encode = msgspec.json.Encoder(order="sorted").encode


class RuleSet(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, frozen=True):
    """All models' rules in the order of the configuration. Times in microseconds.

    `chosen`: device → model, where the registry says so. `duplicate_count`, `duplicate_time`: at least the last so many
    ids of a device, and those within that time, are recognised when they come again.
    """

    models: tuple[ModelRule, ...]
    duplicate_count: int
    duplicate_time: int
    forget: int = FORGET
    chosen: dict[str, str] = {}
    format: int = FORMAT


_decode = msgspec.json.Decoder(RuleSet).decode


def rules_of(
    models: Mapping[str, Model], selection: Selection | None = None, chosen: Mapping[str, str] | None = None
) -> bytes:
    """The canonical JSON of these models' rules; raises `ConfigError` for a number that is not finite."""
    limits = selection or Selection()
    return _encode(
        RuleSet(
            models=tuple(_model_rule(name, model) for name, model in models.items()),
            duplicate_count=limits.duplicate_count,
            duplicate_time=_micros(limits.duplicate_time, "selection.duplicate_time"),
            chosen=dict(chosen or {}),
        )
    )


def compile_rules(raw: bytes) -> "RuleBook":
    """The rules ready to be applied; raises `ConfigError` if this program does not understand them."""
    try:
        rules = _decode(raw)
    except msgspec.DecodeError as error:
        raise ConfigError(f"selection rules on the log: {error}") from None
    if rules.format != FORMAT:
        raise ConfigError(f"selection rules on the log have format {rules.format}; this program knows {FORMAT}")
    return RuleBook(rules)


class RuleBook:
    """Which rule is whose. Use `compile_rules`."""

    def __init__(self, rules: RuleSet) -> None:
        self.duplicate_count = rules.duplicate_count
        self.duplicate_time = rules.duplicate_time
        self.forget = rules.forget
        self._chosen = rules.chosen
        self._by_model = {model.model: Rule(model) for model in rules.models}
        self._by_name: dict[str, Rule] = {}
        self._patterns: list[tuple[re.Pattern[str], Rule]] = []
        for model in rules.models:
            for device in model.devices:
                rule = self._by_model[model.model]
                if "*" in device:
                    self._patterns.append((_pattern(device), rule))
                else:
                    self._by_name.setdefault(device, rule)

    def for_device(self, device: str) -> Rule | None:
        """The registry's choice, else the model that names it, else the first pattern that fits, else `default`.

        None: nothing of this device is ever selected.
        """
        rule = self._by_model.get(self._chosen.get(device, "")) or self._by_name.get(device)
        if rule is None:
            for pattern, candidate in self._patterns:
                if pattern.fullmatch(device) is not None:
                    rule = candidate
                    break
            else:
                rule = self._by_model.get(_DEFAULT)
        return rule if rule is not None and rule.selects else None


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")))


def _model_rule(name: str, model: Model) -> ModelRule:
    select = model.select
    key = f"models.{name}.select"
    return ModelRule(
        model=name,
        name=select.name or name,
        devices=model.devices,
        change=None if select.change is None else _deadband(select.change, f"{key}.change"),
        every=None if select.every is None else _micros(select.every, f"{key}.every"),
        movement=None if select.movement is None else _finite(select.movement, f"{key}.movement"),
        silence=_micros(select.silence, f"{key}.silence") if select.silence else None,
        fields={
            field: _field_rule(rule, f"models.{name}.fields.{field}")
            for field, rule in model.fields.items()
            if rule.change is not None or rule.every is not None
        },
    )


def _field_rule(rule: FieldModel, key: str) -> FieldRule:
    return FieldRule(
        change=None if rule.change is None else _deadband(rule.change, f"{key}.change"),
        every=None if rule.every is None else _micros(rule.every, f"{key}.every"),
    )


def _deadband(change: float | str, key: str) -> Deadband:
    if isinstance(change, str):
        return Deadband(_finite(float(change.removesuffix("%")), key), percent=True)
    return Deadband(_finite(change, key))


def _finite(value: float, key: str) -> float:
    if not math.isfinite(value):
        raise ConfigError(f"{key}: {value} is not a finite number")
    return value


def _micros(seconds: float, key: str) -> int:
    return round(_finite(seconds, key) * 1_000_000)
