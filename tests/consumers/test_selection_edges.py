"""Duplicates, bounds, controls, poison: what selection does at its edges."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers import criteria, device_state, selection
from consumers.selection import Selection
from headwater.config import Selection as Settings
from headwater.config_models import FieldModel, Select
from headwater.errors import ConfigError
from headwater.log import MESSAGES, Entry
from headwater.message import Rules
from tests.consumers.kit import START, Body, chosen, clock, entries, entry, ids, message, rules, select

DAY = 86_400
EVERYTHING = Select(every=0)


def test_a_retry_is_counted_and_has_no_effect() -> None:
    log = entries([rules(EVERYTHING), message(1), message(2), message(1), message(2), message(3)])
    stage = Selection(0)
    assert chosen(stage.apply(log)) == [1, 2, 3]
    assert (stage.taken, stage.duplicates) == (5, 2)


def test_ids_are_each_devices_own() -> None:
    assert len(select([rules(EVERYTHING), message(1, device="a"), message(1, device="b")])) == 2


@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 6), st.sampled_from([0, 1, 5, 30])), max_size=60),
    count=st.integers(1, 5),
    time=st.sampled_from([3, 20]),
)
def test_an_id_is_known_for_as_long_as_promised_and_no_longer_than_three_times(
    steps: list[tuple[int, int]], count: int, time: int
) -> None:
    """Surely within `time` and among the last `count` messages that were none; never after three times `time`."""
    now, bodies = 0, list[Body]()
    for number, gap in steps:
        now += gap
        bodies.append(message(number, time=now))
    stage = Selection(0)
    stage.apply([entry(0, rules(EVERYTHING, settings=Settings(duplicate_count=count, duplicate_time=time)))])
    taken: list[tuple[int, int]] = []
    now = 0
    for offset, ((number, gap), body) in enumerate(zip(steps, bodies, strict=True), 1):
        now += gap
        before = stage.duplicates
        stage.apply([entry(offset, body)])
        was_duplicate = stage.duplicates > before
        if any(one == number and now - at < time for one, at in taken[-count:]):
            assert was_duplicate
        if was_duplicate:
            assert any(one == number and now - at < 3 * time for one, at in taken)
        else:
            taken.append((number, now))


def test_the_clock_never_goes_back() -> None:
    """A message that was received before another, by another gateway, neither ends nor begins a silence."""
    bodies = [
        rules(Select(silence=60)),
        message(0, device="a", time=0),
        message(1, device="b", time=100),  # a is silent
        message(2, device="c", time=50),
        clock(20),
        message(3, device="c", time=159),
    ]
    assert [(x.device, x.reasons[0]) for x in select(bodies)] == [
        ("a", "first"),
        ("a", "silent"),
        ("b", "first"),
        ("c", "first"),
    ]


def test_a_clock_that_jumped_a_year_ahead_makes_one_false_silence_a_device_and_no_more() -> None:
    year = 365 * DAY
    bodies: list[Body] = [rules(Select(silence=60)), message(0), clock(year)]
    bodies += [message(n, time=n) for n in range(1, 20)]
    assert [x.reasons[0] for x in select(bodies)] == ["first", "silent", "first_after_silence"]


def test_without_rules_nothing_is_selected_and_nothing_remembered() -> None:
    stage = Selection(0)
    assert stage.apply(entries([message(1), message(2), clock(5)])) == []
    assert (stage.devices, stage.has_rules) == (0, False)
    assert stage.clock == START + 5_000_000
    later = [entry(10, rules(EVERYTHING)), entry(11, message(2))]
    assert [x.reasons for x in stage.apply(later)] == [["first"]]


def test_rules_are_in_force_from_their_offset() -> None:
    bodies = [
        rules(fields={"x": FieldModel(change=10)}, version=4),
        message(0, {"x": 0}),
        message(1, {"x": 5}),
        rules(fields={"x": FieldModel(change=2)}, version=5),
        message(2, {"x": 5}),
    ]
    assert [(int(x.message.id, 16), x.rule_version) for x in select(bodies)] == [(0, 4), (2, 5)]


def test_rules_that_are_not_understood_leave_the_old_ones_in_force() -> None:
    stage = Selection(0)
    log = entries([rules(EVERYTHING), message(1), Rules(2, msgspec.Raw(b'{"format":99}')), message(2)])
    assert chosen(stage.apply(log)) == [1, 2]
    assert stage.rule_version == 1
    assert "format" in stage.rules_error or "models" in stage.rules_error


def test_a_device_whose_model_selects_nothing_costs_no_memory() -> None:
    stage = Selection(0)
    stage.apply(entries([rules(), message(1), message(2)]))
    assert stage.devices == 0


@pytest.mark.parametrize(
    "value", [b"", b"{", b"null", b'{"device":1}', b"\xff" * 40, b'{"device":"\xff"}', b'{"x":' + b"[" * 100_000, None]
)
@pytest.mark.parametrize("key", [b"pump-7", b""])
def test_an_entry_that_nobody_can_read_is_counted_and_passed_over(key: bytes, value: bytes | None) -> None:
    stage = Selection(0)
    stage.apply([entry(0, rules(EVERYTHING))])
    log = [Entry(MESSAGES, 0, 1, START, key, value), entry(2, message(2))]
    assert ids(stage.apply(log)) == [message(2).id]
    assert stage.undecodable == 1


@pytest.mark.parametrize("nonsense", [-1, 2**62, 10**30])
def test_a_time_beyond_all_sense_is_no_message(nonsense: int) -> None:
    stage = Selection(0)
    for broken in (
        msgspec.structs.replace(message(1), received=nonsense),
        msgspec.structs.replace(message(1), time=nonsense),
    ):
        assert stage.apply(entries([rules(EVERYTHING), broken])) == []
    assert stage.undecodable == 2
    Selection.restored(0, stage.state())


def test_a_device_that_is_silent_for_thirty_days_is_forgotten_by_the_clock() -> None:
    stage = Selection(0)
    stage.apply(entries([rules(EVERYTHING), message(0, device="old"), message(1, device="new", time=20 * DAY)]))
    stage.apply([entry(3, clock(29 * DAY))])
    assert stage.devices == 2
    stage.apply([entry(4, clock(31 * DAY))])
    assert stage.devices == 1
    assert [x.reasons for x in stage.apply([entry(5, message(9, device="old", time=31 * DAY))])] == [["first"]]


def test_a_silence_longer_than_the_memory_is_still_reported() -> None:
    found = select([rules(Select(silence=40 * DAY)), message(0), clock(35 * DAY), clock(41 * DAY)])
    assert [x.reasons for x in found] == [["first"], ["silent"]]


def test_more_devices_than_are_remembered_push_out_the_longest_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "DEVICES", 20)
    stage = Selection(0)
    names = [f"device-{n}" for n in range(21)]
    stage.apply(entries([rules(Select(silence=60)), *(message(n, device=x) for n, x in enumerate(names))]))
    assert stage.devices == 19
    again = [entry(50 + n, message(100 + n, device=names[n], time=30)) for n in (2, 1)]
    assert [x.reasons for x in stage.apply(again)] == [["first"]]  # 2 was known, 1 was not
    assert len(stage.apply([entry(60, clock(1000))])) == stage.devices


def test_a_burst_of_silences_is_spread_over_the_entries_that_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "SILENCES", 3)
    stage = Selection(0)
    stage.apply(entries([rules(Select(silence=5)), *(message(n, device=f"d{n}", time=0) for n in range(8))]))
    counts = [len(stage.apply([entry(20 + n, clock(100))])) for n in range(4)]
    assert counts == [3, 3, 2, 0]


def test_fields_beyond_the_bound_are_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(criteria, "FIELDS", 3)
    rows = [{"a": 1}, {"b": 1}, {"c": 1}, {"d": 1}, {"b": 1}, {"a": 1}]
    found = select([rules(Select(change=1)), *(message(n, row) for n, row in enumerate(rows))])
    assert [x.reasons[0] for x in found] == ["first", "b:change", "c:change", "d:change", "a:change"]


def test_a_long_last_message_is_remembered_without_what_is_long() -> None:
    long = message(1, {"x": 1}, texts={f"t{n}": "z" * 1000 for n in range(100)})
    found = select([rules(Select(silence=5)), long, clock(100)])
    assert found[0].message == long
    assert (found[1].kind, found[1].message.fields, found[1].message.texts) == ("silent", {"x": 1}, {})
    stage = Selection(0)
    stage.apply(entries([rules(Select(silence=5)), long]))
    assert len(stage.state()) < device_state.LAST_SIZE


def test_a_state_of_another_format_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="format 7"):
        Selection.restored(0, msgspec.msgpack.encode([7, 0, 0, b"", []]))
    with pytest.raises(ConfigError, match="state"):
        Selection.restored(0, b"\xc1")


def test_a_model_that_silence_was_taken_from_reports_none() -> None:
    bodies = [
        rules(Select(silence=5, every=0)),
        message(0),
        rules(Select(every=0), version=2),
        clock(50),
        message(1, time=51),
    ]
    assert [x.reasons for x in select(bodies)] == [["first"], ["every"]]


def test_a_model_that_silence_was_given_to_reports_it_from_the_next_message_on() -> None:
    bodies = [
        rules(Select(every=0)),
        message(0),
        rules(Select(silence=5), version=2),
        clock(50),
        message(1, time=51),
        clock(60),
    ]
    assert [x.reasons for x in select(bodies)] == [["first"], ["silent"]]
