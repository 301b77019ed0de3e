"""Rules: from configuration to canonical JSON on the log, and from there to the rule of a device."""

import json
import math
from collections.abc import Mapping

import pytest

from consumers.rules import compile_rules, rules_of
from headwater.config import Config
from headwater.config import Selection as Settings
from headwater.config_models import FieldModel, Model, Select
from headwater.errors import ConfigError

BY_NAME = {
    "pumps": Model(devices=("pump-*",), select=Select(change=1)),
    "valves": Model(devices=("valve-1", "pump-9"), select=Select(change=2)),
    "all-7": Model(devices=("*-7", "p.mp-1"), select=Select(name="seven", every=60)),
    "mute": Model(devices=("spare-*",)),
    "default": Model(select=Select(every=5)),
}


@pytest.mark.parametrize(
    ("device", "rule"),
    [
        ("pump-1", "pumps"),
        ("pump-9", "valves"),  # a name comes before a pattern
        ("pump-7", "pumps"),  # the first pattern that fits
        ("fan-7", "seven"),
        ("valve-1", "valves"),
        ("valve-11", "default"),
        ("spump-1", "default"),
        ("spare-3", None),  # its model selects nothing
    ],
)
def test_a_device_has_the_rule_of_its_model(device: str, rule: str | None) -> None:
    found = compile_rules(rules_of(BY_NAME)).for_device(device)
    assert (found and found.name) == rule


def test_the_registrys_choice_comes_first_and_stands_in_the_rules() -> None:
    chosen = {"fan-1": "pumps", "pump-1": "gone", "pump-2": "mute"}
    book = compile_rules(rules_of(BY_NAME, chosen=chosen))
    names = {device: rule and rule.name for device in chosen for rule in [book.for_device(device)]}
    assert names == {"fan-1": "pumps", "pump-1": "pumps", "pump-2": None}


def test_without_a_default_model_an_unnamed_device_is_not_selected() -> None:
    assert compile_rules(rules_of({"pumps": BY_NAME["pumps"]})).for_device("fan-7") is None


def test_equal_rules_are_equal_bytes_however_they_were_written() -> None:
    one = {"m": Model(fields={"a": FieldModel(change="5%"), "b": FieldModel(every=60)}, select=Select(silence=3600))}
    two = {
        "m": Model.model_validate(
            {"fields": {"b": {"every": "1m"}, "a": {"change": "5.0%"}}, "select": {"silence": "1h"}}
        )
    }
    assert rules_of(one) == rules_of(two)


def test_what_does_not_select_is_not_in_the_rules() -> None:
    """So that a new unit or range makes no new rule version."""
    one = {"m": Model(fields={"a": FieldModel(change=1)})}
    two = {"m": Model(strict=True, fields={"a": FieldModel(change=1, unit="°C", max=90), "b": FieldModel(type="text")})}
    assert rules_of(one) == rules_of(two)


def test_the_rules_are_canonical_json() -> None:
    raw = rules_of(Config().models, Settings())
    assert raw == json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")).encode()


def test_the_order_of_models_matters_and_is_kept() -> None:
    backwards: Mapping[str, Model] = dict(reversed(BY_NAME.items()))
    rule = compile_rules(rules_of(backwards)).for_device("pump-7")
    assert rule is not None
    assert rule.name == "seven"


def test_the_window_for_duplicates_is_part_of_the_rules() -> None:
    book = compile_rules(rules_of({}, Settings(duplicate_count=9, duplicate_time=2)))
    assert (book.duplicate_count, book.duplicate_time) == (9, 2_000_000)


@pytest.mark.parametrize(
    "model", [Model(select=Select(change=math.inf)), Model(fields={"a": FieldModel(change=math.nan)})]
)
def test_a_number_that_json_cannot_hold_is_refused_by_name(model: Model) -> None:
    with pytest.raises(ConfigError, match=r"models\.pumps\..*change"):
        rules_of({"pumps": model})


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"models":[],"duplicate_count":1,"duplicate_time":1,"new":2}'])
def test_rules_of_another_program_are_refused(raw: bytes) -> None:
    with pytest.raises(ConfigError, match="rules on the log"):
        compile_rules(raw)
