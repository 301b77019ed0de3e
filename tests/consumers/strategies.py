"""Arbitrary partitions for property tests: models, messages in time and late, duplicates, clocks, other rules."""

from random import Random

from hypothesis import strategies as st

from headwater.config import Selection as Settings
from headwater.config_models import FieldModel, Select
from headwater.message import Clock, Message, Number, Position, Rules
from tests.consumers.kit import clock, message, rules

NAMES: tuple[str, ...] = ("temperature", "humidity", "state")

_TEXTS: tuple[str, ...] = ("state", "mode")

numbers = st.one_of(st.integers(-5, 5), st.integers(-50, 50).map(lambda tenths: tenths / 10), st.booleans())
positions = st.builds(Position, st.sampled_from([0.0, 0.0001, 0.001, 50]), st.sampled_from([0.0, 0.0002, 179.9999]))
fields: st.SearchStrategy[dict[str, Number]] = st.dictionaries(st.sampled_from(NAMES), numbers, max_size=3)
texts: st.SearchStrategy[dict[str, str]] = st.dictionaries(
    st.sampled_from(_TEXTS), st.sampled_from(["on", "off"]), max_size=1
)


def _pool() -> list[Rules]:
    """Rules of all kinds; made once, because reading configuration is slow."""
    dice = Random(7)
    changes: list[float | str | None] = [None, 0, 0.2, 1, 2.5, "10%", "0%"]
    every = [None, 0, 5, 30]
    found: list[Rules] = []
    for version in range(1, 60):
        select = Select(
            change=dice.choice(changes),
            every=dice.choice(every),
            movement=dice.choice([None, 0, 15.0]),
            silence=dice.choice([None, 10, 60]),
        )
        by_field = {
            name: FieldModel(change=dice.choice(changes), every=dice.choice(every))
            for name in NAMES
            if dice.random() < 0.3
        }
        settings = Settings(duplicate_count=dice.choice([1, 3, 1000]), duplicate_time=20)
        found.append(rules(select, by_field, version=version, settings=settings))
    return found


some_rules = st.sampled_from(_pool())


@st.composite
def partitions(draw: st.DrawFn, most: int = 40) -> list[Message | Clock | Rules]:
    """What a partition may hold, in order: rules first, then anything."""
    bodies: list[Message | Clock | Rules] = [draw(some_rules)]
    now = 0.0
    for number in range(draw(st.integers(0, most))):
        kind = draw(st.integers(0, 19))
        now += draw(st.sampled_from([0, 0.5, 1, 3, 15, 70]))
        if kind == 0:
            bodies.append(draw(some_rules))
        elif kind <= 2:
            bodies.append(clock(now))
        else:
            late = draw(st.sampled_from([0, 0, 0, 0, 2, 40]))
            bodies.append(
                message(
                    number if kind > 4 else draw(st.integers(0, number)),
                    draw(fields),
                    device=draw(st.sampled_from(["a", "b", "c"])),
                    time=now - late,
                    received=now - draw(st.sampled_from([0, 0, 0, 1])),
                    texts=draw(texts),
                    position=draw(st.one_of(st.none(), positions)),
                )
            )
    return bodies
