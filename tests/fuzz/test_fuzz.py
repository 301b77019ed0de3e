"""A bounded run of the fuzzer, and that it finds what it is there to find. `scripts/fuzz` runs for longer."""

import asyncio
from collections.abc import Callable
from random import Random, SystemRandom

import pytest
import uvloop

from ingest.mqtt import frames, wire
from ingest.mqtt.inbound import Inbound
from tests.fuzz import targets
from tests.fuzz.__main__ import one

ROUNDS = 120


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that the program uses."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.mark.parametrize("begin", [0, SystemRandom().randrange(2**40)], ids=["the same", "another"])
async def test_nothing_that_a_client_says_breaks_the_endpoint_or_is_noticed_by_another(begin: int) -> None:
    async with targets.site() as site:
        for seed in range(begin, begin + ROUNDS):
            await one(seed, site)
            await site.check_left()


async def rounds(target: Callable[[Random], None] | None, count: int) -> None:
    """`target`: that alone; without one, whole sessions."""
    if target is not None:
        for seed in range(count):
            target(Random(seed))
        return
    async with targets.site() as site:
        for seed in range(count):
            await site.round(Random(seed))
            await site.check_left()


def _nothing(*_: object) -> None: ...


def _as_it_comes(raw: bytes) -> str:
    return raw.decode()


MISTAKES: dict[str, tuple[Callable[[Random], None] | None, object, str, object]] = {
    "strings that are not looked at": (targets.reader, wire, "decode_text", _as_it_comes),
    "fragments that are not told apart": (targets.frames, frames.FrameReader, "_check", _nothing),
    "what is held back is never given up": (None, Inbound, "drop", _nothing),
}


@pytest.mark.parametrize("name", MISTAKES)
async def test_it_finds_a_mistake_that_is_made_on_purpose(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target, where, what, wrong = MISTAKES[name]
    monkeypatch.setattr(where, what, wrong)
    with pytest.raises((AssertionError, IndexError, UnicodeDecodeError, ValueError)):
        await rounds(target, 10_000 if target is not None else 500)


def test_a_number_brings_a_round_back() -> None:
    assert targets.talks.talk(Random(7), 5) == targets.talks.talk(Random(7), 5)
