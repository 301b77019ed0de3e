"""Everyone is looked at when the moment has come: never early, a second late at most, once."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.mqtt.deadlines import Deadlines


class Item:
    def __init__(self) -> None:
        self.deadline = 0
        self.expired_at: list[float] = []

    def expired(self, now: float) -> None:
        self.expired_at.append(now)


MOMENTS = st.lists(st.floats(100, 130, allow_nan=False), max_size=20)


@given(MOMENTS, st.lists(st.floats(0, 5), min_size=20, max_size=40))
def test_an_item_expires_once_and_in_time(moments: list[float], steps: list[float]) -> None:
    now = 100.0
    deadlines: Deadlines[Item] = Deadlines(now)
    items = [(moment, Item()) for moment in moments]
    for moment, item in items:
        deadlines.set(item, moment)
    for step in [*steps, 40.0]:
        before, now = now, now + step
        deadlines.sweep(now)
        for moment, item in items:
            for at in item.expired_at:
                assert at >= moment
            if moment < before - 1:
                assert item.expired_at
    assert all(len(item.expired_at) == 1 for _, item in items)
    assert not deadlines._seconds  # pyright: ignore[reportPrivateUsage]


def test_what_is_set_anew_expires_then_and_what_is_cleared_does_not() -> None:
    deadlines: Deadlines[Item] = Deadlines(100)
    moved, cleared = Item(), Item()
    deadlines.set(moved, 102)
    deadlines.set(cleared, 102)
    deadlines.set(moved, 110)
    deadlines.clear(cleared)
    deadlines.sweep(105)
    assert moved.expired_at == cleared.expired_at == []
    deadlines.sweep(111)
    assert moved.expired_at == [111]
    assert cleared.expired_at == []


def test_a_moment_that_has_passed_is_due_at_the_next_look() -> None:
    deadlines: Deadlines[Item] = Deadlines(100)
    item = Item()
    deadlines.set(item, 50)
    deadlines.sweep(101)
    assert item.expired_at == [101]
