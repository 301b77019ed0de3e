"""Search on a real Elasticsearch: set up once, documents it refuses, and a server that refuses, freezes, hangs or comes back empty."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from headwater.errors import ConfigError, PartialWrite, Unavailable
from storage.elastic_store import open_elastic_search
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.factory import DAY, T, highest, records
from tests.storage.search.kit import CLOCK, EVER, KEEP, asked_of, configured, found, remove, say


async def test_a_server_is_set_up_once_whoever_comes_first(elastic_server: Server, prefix: str) -> None:
    async def one(n: int) -> None:
        opened = open_elastic_search(configured(elastic_server.port, prefix), "log-1", retention=KEEP, now=CLOCK)
        async with opened as store:
            await store.write(records([say(n, f"d-{n}")]))

    await asyncio.wait_for(asyncio.gather(*(one(n) for n in range(6))), 60)
    names = asked_of(elastic_server, "GET", f"_alias/{prefix}-candidates")
    assert list(names) == [f"{prefix}-candidates-2025.11.21"]
    assert asked_of(elastic_server, "POST", f"{prefix}-candidates/_refresh")["_shards"]["failed"] == 0
    assert asked_of(elastic_server, "GET", f"{prefix}-candidates/_count")["count"] == 6
    mapping = asked_of(elastic_server, "GET", f"{prefix}-candidates/_mapping")
    said = mapping[f"{prefix}-candidates-2025.11.21"]["mappings"]
    assert said["dynamic"] == "strict"
    assert said["properties"]["words"]["type"] == said["properties"]["pairs"]["type"] == "keyword"


async def test_more_days_than_a_node_has_shards_for_are_refused_before_anything_connects() -> None:
    with pytest.raises(ConfigError, match=r"796 days at most"):
        async with open_elastic_search(configured(1, "x"), "log-1", retention=800 * 86_400.0):
            pass


async def test_a_document_the_server_cannot_take_is_named_and_the_others_are_durable(
    elastic_server: Server, prefix: str
) -> None:
    config = configured(elastic_server.port, prefix)
    written = records([say(n, fields={"level": n}) for n in range(5)])
    async with open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK) as store:
        # A day's index that someone made by hand, in which a device's name has to be a number.
        template = asked_of(elastic_server, "GET", f"_index_template/{prefix}-candidates")
        mappings = template["index_templates"][0]["index_template"]["template"]["mappings"]
        mappings["properties"]["device"] = {"type": "integer"}
        index = f"{prefix}-candidates-2025.11.21"
        asked_of(elastic_server, "PUT", index, {"mappings": mappings})
        with pytest.raises(PartialWrite) as refusal:
            await store.write([*written, *records([say(7, "7")])])
        assert set(refusal.value.reasons) == {0, 1, 2, 3, 4}
        assert "device" in refusal.value.reasons[0]
        assert await found(store, "") == [7]
        assert await store.ledger("candidates") == {}, "a crash now must bring it again: nobody has quarantined yet"
        await store.write(records([say(7, "7")]))
        assert await found(store, "") == [7]
        assert await store.ledger("candidates") == highest(records([say(7, "7")]))


async def test_a_server_that_takes_no_writes_is_unavailable_and_nothing_is_quarantined(
    elastic_server: Server, prefix: str
) -> None:
    config = configured(elastic_server.port, prefix)
    written = records([say(n) for n in range(5)])
    async with open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK) as store:
        await store.write(written[:2])
        for block in ("read_only_allow_delete", "write"):
            asked_of(elastic_server, "PUT", f"{prefix}-*/_settings", {f"index.blocks.{block}": True})
            with pytest.raises(Unavailable):
                await store.write(written)
            with pytest.raises(Unavailable):
                await store.ping()
            asked_of(elastic_server, "PUT", f"{prefix}-*/_settings", {f"index.blocks.{block}": None})
        await store.ping()
        await store.write(written)
        assert await found(store, "pump") == [4, 3, 2, 1, 0]


async def test_data_without_its_ledger_is_written_again_and_not_doubled(elastic_server: Server, prefix: str) -> None:
    written = records([say(n, time=T + n * DAY) for n in range(3)])
    config = configured(elastic_server.port, prefix)
    async with open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK) as store:
        await store.write(written)
        asked_of(elastic_server, "DELETE", f"{prefix}-ledger")
        assert await store.ledger("candidates") == {}
        await store.write(written[:2])
        assert await store.ledger("candidates") == highest(written[:2])
        await store.write(written)
        assert await found(store, "pump") == [2, 1, 0]


async def test_a_server_that_comes_back_empty_is_set_up_and_filled_again(elastic_server: Server, prefix: str) -> None:
    written = records([say(n) for n in range(5)])
    config = configured(elastic_server.port, prefix)
    async with open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK) as store:
        await store.write(written)
        assert await found(store, "pump") == [4, 3, 2, 1, 0]
        remove(elastic_server, prefix)  # all there is of this installation, as a wiped disk leaves it
        assert await store.ledger("candidates") == {}
        assert await found(store, "pump") == []
        assert [batch async for batch in store.ids()] == []
        await store.ping()
        await store.write(written)
        assert await store.ledger("candidates") == highest(written)
        assert await found(store, "pump") == [4, 3, 2, 1, 0]
    mapping = asked_of(elastic_server, "GET", f"{prefix}-candidates/_mapping")
    assert all(index["mappings"]["dynamic"] == "strict" for index in mapping.values())


async def test_a_frozen_server_costs_no_more_than_the_time_allowed(elastic_server: Server, prefix: str) -> None:
    config = configured(elastic_server.port, prefix, 0.5)
    written = records([say(n) for n in range(5)])
    async with open_elastic_search(configured(elastic_server.port, prefix), "log-1", retention=KEEP, now=CLOCK):
        pass
    async with open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK) as store:
        elastic_server.freeze()
        try:
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: store.write(written),
                lambda: store.ledger("candidates"),
                store.ping,
                store.maintain,
                lambda: store.search([], EVER, 1),
            ]
            for call in calls:
                with pytest.raises(Unavailable):
                    await asyncio.wait_for(call(), 5)
            with pytest.raises(Unavailable):
                async with open_elastic_search(config, "log-1", retention=KEEP):
                    pass
        finally:
            elastic_server.thaw()


async def test_a_server_that_hangs_in_a_write_is_unavailable_and_goes_on(elastic_server: Server, prefix: str) -> None:
    written = records([say(n) for n in range(5)])
    async with proxied(elastic_server.port) as proxy, AsyncExitStack() as stack:
        config = configured(proxy.port, prefix, 1)
        store = await stack.enter_async_context(open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK))
        await store.write(written[:1])
        await proxy.hang()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(store.write(written), 10)
        await proxy.serve()
        await store.write(written)
        assert await found(store, "pump") == [4, 3, 2, 1, 0]
