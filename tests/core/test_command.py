"""Commands: states only grow, whatever the order of events; what is forgotten does not come back."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.command import (
    STATES,
    Acknowledged,
    Answered,
    Command,
    Event,
    Ordered,
    Sent,
    check_answer,
    check_command_id,
    encode_event,
    key_of,
    make,
)
from headwater.command_table import CommandTable
from headwater.errors import Rejected
from headwater.log import COMMANDS, Entry

END = 1000
ORDERED = Ordered("reboot", 0, END, msgspec.Raw(b'{"delay":5}'))
EVENTS = st.one_of(
    st.builds(Sent, st.integers(1, END - 1)),
    st.builds(Acknowledged, st.integers(1, END - 1)),
    st.builds(Answered, st.integers(1, END - 1), st.just(msgspec.Raw(b"1"))),
)


def entry(
    offset: int, event: Event | type[Event], *, forget: bool = False, device: str = "d", ident: str = "c"
) -> Entry:
    value = None if forget or isinstance(event, type) else encode_event(event)
    return Entry(COMMANDS, 0, offset, 0, key_of(device, ident, event), value)


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=6), st.randoms(use_true_random=False))
def test_the_state_only_grows_and_does_not_depend_on_the_order(events: list[Event], chance: random.Random) -> None:
    def run(order: list[Event]) -> list[int]:
        command, seen = Command("d", "c", ORDERED), []
        for now, event in enumerate(order):
            assert not isinstance(event, Ordered)
            seen.append(STATES.index(command.state(now)))
            command.take(event)
        return [*seen, STATES.index(command.state(END - 1)), STATES.index(command.state(END + 1))]

    states = run(events)
    assert states == sorted(states)
    assert run(chance.sample(events, len(events)))[-2:] == states[-2:]


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=6))
def test_one_who_reads_what_compaction_left_comes_to_the_same_state(events: list[Event]) -> None:
    entries = [entry(0, ORDERED), *(entry(at, event) for at, event in enumerate(events, 1))]
    newest = {one.key: one for one in entries}
    live, late = CommandTable(), CommandTable()
    live.apply(entries)
    late.apply([one for one in entries if newest[one.key] is one])
    for now in (END - 1, END + 1):
        states = [table.of("d")[0].state(now) for table in (live, late)]
        assert states[0] == states[1]


def test_an_answer_that_came_too_late_leaves_it_expired() -> None:
    command = Command("d", "c", ORDERED)
    command.take(Answered(END, msgspec.Raw(b"1")))
    assert command.state(END) == "expired"


def test_one_that_was_acknowledged_is_not_due_but_may_be_answered() -> None:
    command = Command("d", "c", ORDERED)
    assert command.due(1)
    command.take(Sent(1))
    assert command.due(1)
    command.take(Acknowledged(2))
    assert (command.due(3), command.open(3)) == (False, True)
    assert (command.open(END), command.state(END)) == (False, "expired")


def test_what_is_forgotten_goes_all_at_once_and_a_late_event_does_not_bring_it_back() -> None:
    table = CommandTable()
    table.apply([entry(0, ORDERED), entry(1, Sent(1)), entry(2, Answered(2))])
    assert list(table.forgettable(1001, 1000)) == []
    keys = list(table.forgettable(1002, 1000))
    assert keys[0] == key_of("d", "c", Ordered)
    assert len(keys) == 3
    table.apply([Entry(COMMANDS, 0, 3, 0, keys[0], None), entry(4, Acknowledged(3))])
    assert (table.get("d", "c"), table.count, table.size) == (None, 0, 0)
    left = set(table.forgettable(2000, 1000))
    assert left == {*keys[1:], key_of("d", "c", Acknowledged)}
    table.apply([Entry(COMMANDS, 0, 5, 0, key, None) for key in left])
    assert list(table.forgettable(2000, 1000)) == []


def test_of_very_many_that_ended_the_oldest_are_forgotten_early() -> None:
    table = CommandTable()
    table.apply([entry(at, ORDERED, ident=f"c{at}") for at in range(103)])
    assert list(table.forgettable(END - 1, 10**9)) == []
    assert set(table.forgettable(END, 10**9)) == {key_of("d", f"c{at}", Ordered) for at in range(3)}


def test_an_entry_that_nobody_here_wrote_is_left_out() -> None:
    table = CommandTable()
    table.apply(
        [Entry(COMMANDS, 0, 0, 0, b"../x", b"{}"), Entry(COMMANDS, 0, 1, 0, b"d/c/sent", b"no"), entry(2, ORDERED)]
    )
    assert table.count == 1


@pytest.mark.parametrize(
    ("name", "arguments", "seconds"),
    [("", None, 1), ("a b", None, 1), ("x", None, 0), ("x", None, 31 * 86_400), ("x", "a" * 8192, 1)],
)
def test_what_makes_no_command_is_rejected(name: str, arguments: object, seconds: float) -> None:
    with pytest.raises(Rejected):
        make(name, arguments, seconds, "admin")


def test_ids_and_answers_are_checked() -> None:
    assert bytes(check_answer(b"")) == b"null"
    assert bytes(check_answer(b' {"a": 1} ')) == b'{"a":1}'
    for data in (b"{", b"\xff", b'"\xff"', b'"' + b"a" * 8192 + b'"', b"[" * 8000):
        with pytest.raises(Rejected):
            check_answer(data)
    for ident in ("", "a/b", "+", "#", "é", "a" * 65):
        with pytest.raises(Rejected):
            check_command_id(ident)
