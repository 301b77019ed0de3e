"""The laws of selection, each against a formula written without looking at how it is done."""

from fractions import Fraction
from math import acos, cos, radians, sin

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumers.criteria import Deadband, Rule, bounds_of
from consumers.selection import Selection
from consumers.track import Track
from headwater.config_models import FieldModel, Select
from headwater.message import Message, Position, encode
from headwater.places import EARTH_RADIUS, distance
from tests.consumers.kit import Body, chosen, clock, entries, message, rules, select
from tests.consumers.strategies import partitions

hundredths = st.integers(-300, 300)


def exactly(hundredth: int) -> Fraction:
    return Fraction(hundredth, 100)


@settings(max_examples=200, deadline=None)
@given(values=st.lists(hundredths, max_size=40), band=st.integers(0, 150))
@example(values=[10, 30, 50, 70], band=20)  # 0.3 - 0.1 is less than 0.2 for a computer
def test_a_value_is_selected_exactly_if_it_deviates_by_the_deadband_from_the_last_selected(
    values: list[int], band: int
) -> None:
    expected: list[int] = []
    for number, value in enumerate(values):
        if not expected or (value != values[expected[-1]] and abs(value - values[expected[-1]]) >= band):
            expected.append(number)
    bodies = [message(number, {"x": value / 100}) for number, value in enumerate(values)]
    assert chosen(select([rules(fields={"x": FieldModel(change=band / 100)}), *bodies])) == expected


@settings(max_examples=200, deadline=None)
@given(values=st.lists(hundredths, max_size=40), percent=st.integers(0, 60))
@example(values=[100, 107, 110, 121], percent=7)
def test_a_percentage_is_of_the_last_selected_value(values: list[int], percent: int) -> None:
    last: Fraction | None = None
    expected: list[int] = []
    for number, hundredth in enumerate(values):
        value = exactly(hundredth)
        if last is None or (value != last and abs(value - last) >= abs(last) * percent / 100):
            expected.append(number)
            last = value
    bodies = [message(number, {"x": value / 100}) for number, value in enumerate(values)]
    assert chosen(select([rules(Select(change=f"{percent}%")), *bodies])) == expected


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), hundredths, max_size=3), max_size=30))
def test_each_field_is_measured_against_the_last_candidate_that_had_it(rows: list[dict[str, int]]) -> None:
    bands = {"a": 50, "b": 120, "c": 10}
    last: dict[str, int] = {}
    expected: list[int] = []
    for number, row in enumerate(rows):
        changed = [x for x, value in row.items() if x not in last or abs(value - last[x]) >= bands[x]]
        if changed or number == 0:
            expected.append(number)
            last |= row
    fields = {"a": FieldModel(change=0.5), "b": FieldModel(change=1.2)}
    bodies = [message(number, {x: value / 100 for x, value in row.items()}) for number, row in enumerate(rows)]
    assert chosen(select([rules(Select(change=0.1), fields), *bodies])) == expected


@settings(max_examples=100, deadline=None)
@given(gaps=st.lists(st.integers(0, 20), max_size=40), every=st.integers(0, 30))
def test_where_messages_come_one_is_selected_at_least_so_often(gaps: list[int], every: int) -> None:
    times = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    expected: list[int] = []
    for number, time in enumerate(times):
        if not expected or time - times[expected[-1]] >= every:
            expected.append(number)
    bodies = [message(number, {"x": 1}, time=time) for number, time in enumerate(times)]
    assert chosen(select([rules(Select(every=every)), *bodies])) == expected


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=40))
def test_a_field_has_its_own_rhythm(rows: list[tuple[int, bool]]) -> None:
    expected: list[int] = []
    last = time = 0
    for number, (gap, has) in enumerate(rows):
        time += gap
        if number == 0 or (has and (last is None or time - last >= 30)):
            expected.append(number)
            last = time if has else None
    time = 0
    bodies: list[Body] = [rules(fields={"x": FieldModel(every=30)})]
    for number, (gap, has) in enumerate(rows):
        time += gap
        bodies.append(message(number, {"x": 1} if has else {"y": 1}, time=time))
    assert chosen(select(bodies)) == expected


@settings(max_examples=100, deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), max_size=30),
    metres_apart=st.sampled_from([0, 1, 50, 300]),
    corner=st.sampled_from([(0.0, 0.0), (59.9, 179.9995), (-33.0, -180.0), (89.99, 10.0)]),
)
def test_a_position_is_selected_exactly_if_it_is_so_far_from_the_last_selected(
    places: list[tuple[int, int]], metres_apart: int, corner: tuple[float, float]
) -> None:
    points = [(corner[0] + lat / 10_000, (corner[1] + lon / 10_000 + 180) % 360 - 180) for lat, lon in places]
    expected: list[int] = []
    for number, point in enumerate(points):
        moved = not expected or distance(*points[expected[-1]], *point) >= metres_apart
        if moved and (not expected or point != points[expected[-1]]):
            expected.append(number)
    bodies = [message(number, position=Position(*point)) for number, point in enumerate(points)]
    assert chosen(select([rules(Select(movement=metres_apart)), *bodies])) == expected


@given(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), st.tuples(st.floats(-90, 90), st.floats(-180, 180)))
def test_the_distance_is_that_of_the_law_of_cosines(one: tuple[float, float], two: tuple[float, float]) -> None:
    (lat1, lon1), (lat2, lon2) = (tuple(map(radians, point)) for point in (one, two))
    cosine = sin(lat1) * sin(lat2) + cos(lat1) * cos(lat2) * cos(lon2 - lon1)
    # The law of cosines is exact to a metre or so only: that is why the haversine formula is used.
    assert distance(*one, *two) == pytest.approx(EARTH_RADIUS * acos(max(-1.0, min(1.0, cosine))), rel=1e-6, abs=1)


@settings(max_examples=200, deadline=None)
@given(
    value=st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
    size=st.one_of(st.just(0.0), st.floats(1e-9, 1e9)),
    percent=st.booleans(),
)
def test_no_value_deviates_from_itself(value: float, size: float, percent: bool) -> None:
    low, high = bounds_of(value, Deadband(size, percent))
    assert low < value < high


@pytest.mark.parametrize("counter", [2**53, 2**60 + 1, -(2**62) - 7])
def test_large_counters_are_compared_as_integers(counter: int) -> None:
    bodies = [message(n, {"x": counter + step}) for n, step in enumerate([0, 2, 3, 5, 6])]
    assert chosen(select([rules(Select(change=3)), *bodies])) == [0, 2, 4]


def test_a_number_beyond_64_bits_neither_breaks_the_state_nor_is_selected_again() -> None:
    selection = Selection(0)
    huge = [message(n, {"x": 10**30, "y": -(10**400)}) for n in range(3)]
    assert chosen(selection.apply(entries([rules(Select(change=1)), *huge]))) == [0]
    assert Selection.restored(0, selection.state()).apply(entries(huge)[:1]) == []


def test_booleans_and_texts_are_selected_at_any_change() -> None:
    rows = [
        ({"on": True}, {"mode": "eco"}),
        ({"on": True}, {"mode": "eco"}),
        ({"on": False}, {"mode": "eco"}),
        ({"on": False}, {"mode": "boost"}),
        ({"on": False}, {"mode": "boost"}),
    ]
    bodies = [message(n, fields, texts=texts) for n, (fields, texts) in enumerate(rows)]
    found = select([rules(Select(change=100)), *bodies])
    assert [(x.message.id[-1], x.reasons) for x in found] == [
        ("0", ["first"]),
        ("2", ["on:change"]),
        ("3", ["mode:change"]),
    ]


def test_a_field_that_was_never_seen_is_a_change() -> None:
    bodies = [message(0, {"x": 1}), message(1, {"x": 1, "y": 1}), message(2, {"x": 1, "y": 1})]
    found = select([rules(Select(change=5)), *bodies])
    assert [x.reasons for x in found] == [["first"], ["y:change"]]


def test_one_candidate_tells_all_its_reasons() -> None:
    model = Select(change=1, every=60, movement=10)
    bodies = [
        message(0, {"x": 1, "y": 1}, position=Position(0, 0)),
        message(1, {"x": 3, "y": 1}, time=100, position=Position(0, 1)),
    ]
    found = select([rules(model, {"y": FieldModel(every=30)}), *bodies])
    assert found[1].reasons == ["x:change", "y:every", "position:movement", "every"]
    assert (found[1].rule, found[1].rule_version, found[1].time) == ("default", 1, bodies[1].time)


@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1, 4, 9, 10, 11, 35])), max_size=40),
    silence=st.just(10),
)
def test_a_silence_is_reported_once_when_the_clock_has_passed_it(steps: list[tuple[str, int]], silence: int) -> None:
    """`c` is the clock; `a` and `b` are devices. The formula: what is due at each step, in order of deadlines."""
    now, heard, silent = 0, dict[str, int](), set[str]()
    expected: list[tuple[str, str]] = []
    bodies: list[Body] = [rules(Select(silence=silence))]
    for number, (who, gap) in enumerate(steps):
        now += gap
        for due in sorted((at + silence, device) for device, at in heard.items() if device not in silent):
            if due[0] <= now:
                silent.add(due[1])
                expected.append((due[1], "silent"))
        if who == "c":
            bodies.append(clock(now))
            continue
        if who not in heard:
            expected.append((who, "first"))
        elif who in silent:
            expected.append((who, "first_after_silence"))
        heard[who] = now
        silent.discard(who)
        bodies.append(message(number, {"x": 1}, device=who, time=now))
    found = select(bodies)
    assert [(x.device, x.reasons[0]) for x in found] == expected
    assert len({x.id for x in found}) == len(found)
    for one in found:
        if one.kind == "silent":
            assert one.time == one.message.received


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.tuples(hundredths, st.booleans()), min_size=1, max_size=40))
def test_a_backlog_neither_disturbs_the_present_nor_goes_unselected(values: list[tuple[int, bool]]) -> None:
    """Messages in time and late ones, mixed: each kind is selected as if the other were not there."""
    present, backlog = [message(0, {"x": 0}, time=10_000)], list[Message]()
    mixed: list[Message] = [present[0]]
    for number, (value, late) in enumerate(values, 1):
        one = message(number, {"x": value / 100}, time=number if late else 10_000 + number)
        (backlog if late else present).append(one)
        mixed.append(one)
    model = rules(Select(change=0.7, every=10))
    alone = chosen(select([model, *present])) + chosen(select([model, *backlog]))
    assert sorted(chosen(select([model, *mixed]))) == sorted(alone)


def test_a_backlog_that_is_sent_newest_first_is_thinned_too() -> None:
    bodies = [message(0, {"x": 1}, time=1000)]
    bodies += [message(n, {"x": 1}, time=500 - n) for n in range(1, 100)]
    found = chosen(select([rules(Select(every=20)), *bodies]))
    assert found == [0, 1, 21, 41, 61, 81]


@settings(max_examples=80, deadline=None)
@given(partitions())
def test_the_quick_question_and_the_reasons_agree(bodies: list[Body]) -> None:
    """No candidate without a reason, and the same candidates if every message is asked for its reasons."""
    found = select(bodies)
    assert all(one.reasons for one in found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "quiet", _asked_for_reasons)
        slow = select(bodies)
    assert [encode(one) for one in found] == [encode(one) for one in slow]


def _asked_for_reasons(rule: Rule, track: Track, message: Message) -> bool:
    return not rule.reasons(track, message)
