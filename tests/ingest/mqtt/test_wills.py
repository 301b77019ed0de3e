"""Wills while the log is away: nobody sends one again, so the endpoint does."""

from typing import Any

import pytest

from headwater.registry import ANONYMOUS
from ingest.contract import Receipt
from ingest.mqtt.packets import Publish
from ingest.mqtt.properties import Properties
from ingest.mqtt.wills import Said, Wills
from tests.ingest.mqtt.kit import Client, Endpoint, endpoint, until, will


class Nobody:
    def release(self) -> None:
        """See `Owner`."""


async def watching(here: Endpoint) -> Client:
    watcher = await here.connected("w")
    await watcher.subscribe("#", qos=1)
    return watcher


async def vanished(here: Endpoint, client_id: str, **more: Any) -> None:
    """A client with a will, gone without a word."""
    client = await here.connected(client_id, will=will(qos=1), **more)
    count = len(here.intake.accepted)
    await client.close()
    await until(lambda: len(here.intake.accepted) > count)


@pytest.mark.parametrize("given", [Properties(), Properties(session_expiry_interval=3600)])
async def test_a_will_that_the_log_does_not_take_is_sent_when_it_does(given: Properties) -> None:
    async with endpoint() as here:
        watcher = await watching(here)
        here.intake.failing = True
        await vanished(here, "c", properties=given)
        await watcher.nothing()
        for _ in range(3):
            here.after(1)
            await until(lambda: not here.intake.waiting)
        await watcher.nothing()
        here.intake.failing = False
        here.after(1)
        assert (await watcher.expect(Publish)).payload == b"gone"
        here.after(1)
        await watcher.nothing()


async def test_who_has_come_back_meanwhile_is_not_said_to_be_gone() -> None:
    async with endpoint() as here:
        watcher = await watching(here)
        here.intake.failing = True
        await vanished(here, "c")
        await until(lambda: not here.intake.waiting)
        await here.connected("c")
        here.intake.failing = False
        here.after(1)
        await watcher.nothing()


def test_of_what_cannot_be_sent_the_oldest_makes_way_and_of_a_session_the_newest_counts() -> None:
    wills: Wills[Receipt] = Wills(4000)
    for sender, size in (("a", 1000), ("b", 1000), ("a", 1200), ("c", 1000)):
        receipt = Receipt(Nobody(), failed=True)
        wills.begin(receipt, Said(will(payload=b"x" * size), ANONYMOUS, "", sender))
        assert not wills.durable()
    assert [(said.sender, len(said.will.payload)) for said in wills.unsent()] == [("a", 1200), ("c", 1000)]
    assert not wills.unsent()
