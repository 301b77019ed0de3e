"""Models: which one a device has, and what it lets pass."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.config_models import FieldModel, Model
from headwater.errors import Rejected
from headwater.message import Message
from ingest.models import Models, compile_check


def message(**values: Any) -> Message:
    fields = {name: value for name, value in values.items() if not isinstance(value, str)}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    return Message("a", "1", 0, 0, fields=fields, texts=texts)


def verdict(model: Model, **values: Any) -> str:
    check = compile_check(model)
    assert check is not None
    try:
        check(message(**values))
    except Rejected as error:
        return error.reason
    return "good"


def one(**field: Any) -> Model:
    return Model(fields={"x": FieldModel(**field)})


def test_a_model_without_fields_checks_nothing() -> None:
    assert compile_check(Model()) is None


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ({"type": "number"}, 1, "good"),
        ({"type": "number"}, 1.5, "good"),
        ({"type": "number"}, True, "wrong_type"),
        ({"type": "number"}, "1", "wrong_type"),
        ({"type": "number", "min": 0}, 0, "good"),
        ({"type": "number", "min": 0}, -0.1, "out_of_range"),
        ({"type": "number", "max": 10}, 10, "good"),
        ({"type": "number", "max": 10}, 11, "out_of_range"),
        ({"type": "number", "min": 2, "max": 3}, True, "wrong_type"),
        ({"type": "integer"}, 3, "good"),
        ({"type": "integer"}, 3.0, "good"),
        ({"type": "integer"}, 3.5, "wrong_type"),
        ({"type": "integer"}, False, "wrong_type"),
        ({"type": "integer", "max": 5}, 6, "out_of_range"),
        ({"type": "integer"}, "3", "wrong_type"),
        ({"type": "boolean"}, True, "good"),
        ({"type": "boolean"}, 1, "wrong_type"),
        ({"type": "boolean"}, "on", "wrong_type"),
        ({"type": "text"}, "on", "good"),
        ({"type": "text"}, 1, "wrong_type"),
        ({"type": "text", "values": ("on", "off")}, "on", "good"),
        ({"type": "text", "values": ("on", "off")}, "of", "out_of_range"),
    ],
)
def test_a_field_is_held_to_its_type_and_range(field: dict[str, Any], value: object, expected: str) -> None:
    assert verdict(one(**field), x=value) == expected


def test_what_is_not_there_is_missed_only_where_it_is_required() -> None:
    assert verdict(one(type="number", min=0), y=1) == "good"
    for kind in ("number", "integer", "boolean", "text"):
        assert verdict(one(type=kind, required=True), y=1) == "missing_field"
    assert verdict(one(required=True), x=1) == "good"
    assert verdict(one(type="text", required=True), x="on") == "good"


def test_strict_lets_only_its_own_fields_pass() -> None:
    model = Model(strict=True, fields={"x": FieldModel(), "state": FieldModel(type="text")})

    assert verdict(model, x=1, state="on") == "good"
    assert verdict(model, x=1, y=2) == "unknown_field"
    assert verdict(model, x=1, note="hm") == "unknown_field"
    assert verdict(Model(strict=True), x=1) == "unknown_field"
    assert verdict(one(), x=1, y=2, note="hm") == "good"


def test_the_sentence_names_the_field_the_value_and_the_limits() -> None:
    check = compile_check(one(min=-40, max=85))
    assert check is not None

    with pytest.raises(Rejected, match=r"`x` is 327\.67; its model allows -40 to 85"):
        check(message(x=327.67))


@given(
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
)
def test_exactly_what_lies_within_the_range_passes(low: float, high: float, value: float) -> None:
    low, high = sorted((low, high))

    assert (verdict(one(min=low, max=high), x=value) == "good") == (low <= value <= high)


def test_the_registry_chooses_first_then_the_name_then_the_pattern_then_default() -> None:
    models = Models(
        {
            "default": Model(),
            "pump": Model(devices=("pump-*", "*-pump")),
            "seven": Model(devices=("pump-7",)),
            "any": Model(devices=("p*",)),
        },
        {"pump-1": "any", "odd": "gone"}.get,  # type: ignore[arg-type]
    )

    assert models.name_for("pump-1") == "any"
    assert models.name_for("pump-7") == "seven"
    assert models.name_for("pump-8") == "pump"
    assert models.name_for("old-pump") == "pump"
    assert models.name_for("probe") == "any"
    assert models.name_for("odd") == "default"
    assert models.name_for("xpump-8") == "default"


def test_there_need_be_no_default() -> None:
    assert Models({}, lambda _device: "").check_of("anything") is None
