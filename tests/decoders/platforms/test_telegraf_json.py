"""Telegraf's JSON: its own metrics, and whatever else its parsers would take."""

import json

import pytest

from headwater.errors import Rejected
from ingest.decoders.platforms.telegraf_json import decode
from tests.decoders.platforms.kit import NOW, messages, only, payload, reason

METRIC = {
    "name": "cpu",
    "tags": {"host": "web 1", "cpu": "cpu0"},
    "fields": {"idle": 97.5, "up": True},
    "timestamp": 1_763_700_000,
}


def test_a_metric_names_its_device_by_its_tags() -> None:
    made = only(decode, payload(json.dumps(METRIC), device="path"))
    assert (made.device, made.at) == ("web_1", NOW)
    assert made.fields == {"cpu.idle": 97.5, "cpu.up": True}
    assert made.texts == {"cpu": "cpu0", "host": "web 1"}


def test_a_batch_is_a_message_for_each_metric_and_one_bad_one_is_not_the_end() -> None:
    made = decode(
        payload(json.dumps({"metrics": [METRIC, 5, METRIC | {"timestamp": "2025-11-21T04:40:00Z"}]}), device="d")
    )
    assert isinstance(made[1], Rejected)
    assert not isinstance(made[0], Rejected)
    assert not isinstance(made[2], Rejected)
    assert made[0].at == made[2].at == NOW


def test_metrics_that_are_not_telegrafs_are_a_list_like_any_other() -> None:
    said = {"timestamp": 1763700000000, "metrics": [{"name": "a", "value": 1}, {"name": "b", "value": 2}]}
    made = only(decode, payload(json.dumps(said), device="d"))
    assert made.at == NOW
    assert {"metrics.0.value": 1, "metrics.1.value": 2}.items() <= made.fields.items()


def test_any_other_json_is_taken_by_its_paths() -> None:
    said = {"time": "2025-11-21T04:40:00Z", "deviceId": 7, "a": {"b": [1, {"c": "2"}]}, "d": None, "e": 2**60}
    made = only(decode, payload(json.dumps(said), device="path"))
    assert (made.device, made.at) == ("7", NOW)
    assert made.fields == {"deviceId": 7, "a.b.0": 1}
    assert made.texts == {"a.b.1.c": "2", "e": str(2**60), "time": "2025-11-21T04:40:00Z"}


def test_an_array_at_the_root_is_a_message_for_each_object() -> None:
    made = messages(decode, payload('\ufeff[{"host":"a","x":1},{"x":2}]', device="path"))
    assert [(one.device, one.fields) for one in made] == [("a", {"x": 1}), ("path", {"x": 2})]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("{", "bad_json"),
        ("5", "bad_shape"),
        ("[1]", "bad_shape"),
        ('{"a":1}', "missing_device"),
        ("[" * 5000, "bad_json"),
        (b"\xff", "bad_json"),
    ],
)
def test_what_is_none_is_refused(data: str | bytes, code: str) -> None:
    assert reason(decode, payload(data)) == code


def test_nothing_is_nothing() -> None:
    assert decode(payload("  ", device="a")) == ()
