"""The same log gives the same candidates: however it is cut, wherever the state went through a checkpoint."""

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.selection import Selection
from headwater.config_models import Select
from headwater.message import Candidate, encode
from tests.consumers.kit import Body, entries, message, rules, select
from tests.consumers.strategies import partitions


@settings(max_examples=120, deadline=None)
@given(bodies=partitions(), data=st.data())
def test_cuts_and_checkpoints_change_nothing(bodies: list[Body], data: st.DataObject) -> None:
    straight = select(bodies)

    log = entries(bodies)
    selection = Selection(0)
    found: list[Candidate] = []
    start = 0
    while start < len(log):
        end = start + data.draw(st.integers(1, 12))
        found += selection.apply(log[start:end])
        start = end
        if data.draw(st.booleans()):
            selection = Selection.restored(0, selection.state())

    assert [encode(one) for one in found] == [encode(one) for one in straight]


@settings(max_examples=60, deadline=None)
@given(bodies=partitions())
def test_a_restored_state_is_the_same_state(bodies: list[Body]) -> None:
    selection = Selection(0)
    selection.apply(entries(bodies))
    state = selection.state()
    assert Selection.restored(0, state).state() == state


@settings(max_examples=60, deadline=None)
@given(bodies=partitions(), data=st.data())
def test_a_selector_that_fell_back_to_its_checkpoint_emits_the_same_again(
    bodies: list[Body], data: st.DataObject
) -> None:
    log = entries(bodies)
    middle = data.draw(st.integers(0, len(log)))
    selection = Selection(0)
    selection.apply(log[:middle])
    checkpoint = selection.state()
    first = selection.apply(log[middle:])
    again = Selection.restored(0, checkpoint).apply(log[middle:])
    assert [encode(one) for one in again] == [encode(one) for one in first]


@settings(max_examples=60, deadline=None)
@given(bodies=partitions())
def test_origins_grow_and_name_the_entry_that_made_the_candidate(bodies: list[Body]) -> None:
    log = entries(bodies)
    selection = Selection(0)
    origins: list[tuple[int, int]] = []
    for one in log:
        found = selection.apply([one])
        assert [candidate.origin.n for candidate in found] == list(range(len(found)))
        assert all(candidate.origin.offset == one.offset for candidate in found)
        origins += [(candidate.origin.offset, candidate.origin.n) for candidate in found]
    assert origins == sorted(set(origins))


def test_a_large_state_is_made_in_pieces_and_is_the_same() -> None:
    bodies: list[Body] = [rules(Select(change=1, silence=60))]
    bodies += [message(n, {"x": n, "y": -n}, device=f"device-{n % 3000}") for n in range(12_000)]
    selection = Selection(0)
    selection.apply(entries(bodies))
    pieces = sum(1 for _ in selection.chunks())
    assert pieces >= 3
    assert Selection.restored(0, selection.state()).devices == 3000
