"""Groups: where a member starts, what it may commit, and what revoking a partition means."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from headwater.errors import OffsetOutOfRange, Unavailable
from headwater.log import Offset, TopicPartition
from tests.log.kit import TOPIC, Logs, Recorder, at, put, take, topic, values


async def test_hooks_say_where_to_start_and_the_commit_says_it_for_the_rest(logs: Logs) -> None:
    async with logs.open(topic(3)) as log:
        for partition in range(3):
            await put(log, partition, *(f"{partition}.{n}" for n in range(5)))
        async with log.subscribe([TOPIC], "g") as member:
            await member.commit([e for e in await take(member, 15) if e.partition == 1 and e.offset < 3])
        async with log.subscribe([TOPIC], "g", Recorder({at(0): 4, at(1): 2})) as member:
            assert sorted(values(await take(member, 9))) == [
                "0.4", "1.2", "1.3", "1.4", "2.0", "2.1", "2.2", "2.3", "2.4",
            ]  # fmt: skip


@pytest.mark.parametrize("start", [-1, 3])
async def test_a_start_that_is_not_there_is_out_of_range(logs: Logs, start: int) -> None:
    async with logs.open(topic(1)) as log:
        await put(log, 0, "a", "b")
        async with log.subscribe([TOPIC], "g", Recorder({at(0): start})) as member:
            for _ in range(2):
                with pytest.raises(OffsetOutOfRange):
                    await member.batch(10, 1000, 0)


async def test_what_the_assigned_hook_raises_reaches_the_member_and_it_is_asked_again(logs: Logs) -> None:
    class Failing(Recorder):
        async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset]:
            await super().assigned(partitions)
            if len(self.assignments) == 1:
                raise Unavailable("no ledger")
            return {}

    async with logs.open(topic(1)) as log:
        await put(log, 0, "a")
        async with log.subscribe([TOPIC], "g", Failing()) as member:
            with pytest.raises(Unavailable, match="no ledger"):
                await member.batch(10, 1000, 0)
            assert values(await take(member, 1)) == ["a"]


async def test_revoked_is_awaited_before_another_gets_the_partition_and_may_commit(logs: Logs) -> None:
    events: list[str] = []

    class Finishing(Recorder):
        async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
            events.append("revoking")
            await asyncio.sleep(0.05)
            await first.commit(in_hand)  # the batch in hand is finished and noted
            events.append("revoked")

    class Noting(Recorder):
        async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset]:
            events.append("assigned")
            return {}

    async with logs.open(topic(2)) as log, log.subscribe([TOPIC], "g", Finishing()) as first:
        await put(log, 0, "a")
        await put(log, 1, "b")
        in_hand = await take(first, 2)
        async with log.subscribe([TOPIC], "g", Noting()) as second:
            assert await second.batch(10, 1000, 0) == []
        assert events == ["revoking", "revoked", "assigned"]
        assert await log.committed("g", TOPIC) == {0: 1, 1: 1}


async def test_what_is_withdrawn_while_the_assigned_hook_runs_is_revoked(logs: Logs) -> None:
    """Else a worker that was told of four partitions, and then of one, would believe that it has all four."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    class Slow(Recorder):
        async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset]:
            await super().assigned(partitions)
            begun.set()
            await may_end.wait()
            return {}

    one, two = Slow(), Recorder()
    async with logs.open(topic(2)) as log, log.subscribe([TOPIC], "g", one) as first:
        waiting = asyncio.ensure_future(first.batch(10, 1000, 0))
        await asyncio.wait_for(begun.wait(), 30)
        async with log.subscribe([TOPIC], "g", two) as second:
            asyncio.get_running_loop().call_later(0.3, may_end.set)
            async with asyncio.timeout(60):
                while not (two.held and one.held and one.held.isdisjoint(two.held)):
                    await second.batch(10, 1000, 0)
                    if waiting.done():
                        await waiting
                        waiting = asyncio.ensure_future(first.batch(10, 1000, 0))
            assert one.held | two.held == {at(0), at(1)}
            waiting.cancel()
            await asyncio.wait({waiting})


async def test_nothing_of_a_revoked_partition_is_handed_out(logs: Logs) -> None:
    """Not even what a batch had taken, while it waited for company."""
    one, two = Recorder(), Recorder()
    async with logs.open(topic(2)) as log, log.subscribe([TOPIC], "g", one) as first:
        await first.batch(1, 1, 0)
        await put(log, 0, "a")
        await put(log, 1, "b")
        waiting = asyncio.ensure_future(first.batch(100, 10_000, 0.4))
        await asyncio.sleep(0.02)
        async with log.subscribe([TOPIC], "g", two) as second:
            theirs = await take(second, 1)
            assert {e.partition for e in await waiting} == {tp.partition for tp in one.held}
            assert {e.partition for e in theirs} == {tp.partition for tp in two.held}


async def test_commits_survive_a_restart(logs: Logs) -> None:
    async with logs.open(topic(2)) as log:
        await put(log, 0, "a", "b", "c")
        async with log.subscribe([TOPIC], "g") as member:
            entries = await take(member, 3)
            await member.commit(entries[:2])
    async with logs.open(topic(2)) as log:
        assert await log.committed("g", TOPIC) == {0: 2}
        assert await log.committed("unheard of", TOPIC) == {}
        async with log.subscribe([TOPIC], "g") as member:
            assert values(await take(member, 1)) == ["c"]


async def test_commits_never_go_back(logs: Logs) -> None:
    async with logs.open(topic(1)) as log:
        await put(log, 0, "a", "b", "c")
        async with log.subscribe([TOPIC], "g") as member:
            entries = await take(member, 3)
            await member.commit(entries)
            await member.commit(entries[:1])
            await member.commit([])
        assert await log.committed("g", TOPIC) == {0: 3}
    async with logs.open(topic(1)) as log:
        assert await log.committed("g", TOPIC) == {0: 3}
