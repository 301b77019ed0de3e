"""Groups: everything once and in order, shared evenly, however members join, leave and fall silent."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.errors import Stale
from headwater.log import Log, Subscription, TopicPartition
from tests.log.kit import TOPIC, Logs, Recorder, at, new, put, take, topic, values
from tests.taking import within


async def test_a_group_takes_everything_once_in_order(logs: Logs) -> None:
    async with logs.open(topic(3)) as log:
        for number in range(60):
            await put(log, number % 3, str(number))
        async with log.subscribe([TOPIC], "g") as member:
            entries = await take(member, 60)
        for partition in range(3):
            assert values([e for e in entries if e.partition == partition]) == [
                str(number) for number in range(partition, 60, 3)
            ]


async def test_groups_do_not_share_with_each_other(logs: Logs) -> None:
    async with logs.open(topic(1)) as log, log.subscribe([TOPIC], "g") as one, log.subscribe([TOPIC], "h") as other:
        await put(log, 0, "a", "b")
        assert values(await take(one, 2)) == values(await take(other, 2)) == ["a", "b"]


async def test_a_group_may_read_several_topics(logs: Logs) -> None:
    other = topic(1).__class__("alerts", 2)
    async with logs.open(topic(1), other) as log, log.subscribe([TOPIC, "alerts"], "g") as member:
        await put(log, 0, "a")
        await log.append("alerts", new(1, "b"))
        assert sorted(values(await take(member, 2))) == ["a", "b"]


async def test_members_share_the_partitions_evenly(logs: Logs) -> None:
    one, two = Recorder(), Recorder()
    async with logs.open(topic(4)) as log, log.subscribe([TOPIC], "g", one) as first:
        await first.batch(1, 1, 0)
        assert len(one.held) == 4
        async with log.subscribe([TOPIC], "g", two) as second:
            await second.batch(1, 1, 0)
            assert len(two.held) == len(one.held) == 2
            assert one.held | two.held == {at(n) for n in range(4)}
            for partition in range(4):
                await put(log, partition, f"p{partition}")
            of_first, of_second = await take(first, 2), await take(second, 2)
            assert {e.partition for e in of_first} == {tp.partition for tp in one.held}
            assert {e.partition for e in of_second} == {tp.partition for tp in two.held}


async def test_a_joining_member_goes_on_from_the_commit(logs: Logs) -> None:
    async with logs.open(topic(2)) as log, log.subscribe([TOPIC], "g") as first:
        for partition in (0, 1):
            await put(log, partition, *(str(n) for n in range(10)))
        entries = await take(first, 20)
        await first.commit([entry for entry in entries if entry.offset < 6])
        async with log.subscribe([TOPIC], "g") as second:
            taken = await take(second, 4)
            assert values(taken) == ["6", "7", "8", "9"]
            assert len({entry.partition for entry in taken}) == 1


async def test_a_leaving_member_gives_up_its_partitions_at_once(logs: Logs) -> None:
    one = Recorder()
    async with logs.open(topic(2)) as log, log.subscribe([TOPIC], "g", one) as first:
        await first.batch(1, 1, 0)
        async with log.subscribe([TOPIC], "g") as second:
            await second.batch(1, 1, 0)
            assert len(one.held) == 1
            await put(log, 0, "a")
            await put(log, 1, "b")
            mine, theirs = await take(first, 1), await take(second, 1)
            await first.commit(mine)
        # The other's was not committed: it comes again, here.
        assert values(await take(first, 1)) == values(theirs)
        assert len(one.held) == 2


async def test_a_silent_member_loses_its_partitions_and_its_commit_is_stale(logs: Logs) -> None:
    async with logs.open(topic(2), session=0.15 * logs.pace) as log, log.subscribe([TOPIC], "g") as silent:
        await put(log, 0, "a")
        await put(log, 1, "b")
        in_hand = await take(silent, 2)
        async with log.subscribe([TOPIC], "g") as other:
            seen: set[str] = set()
            async with asyncio.timeout(5):
                while seen != {"a", "b"}:  # one of them twice, if it had that partition before the other's was lost
                    seen.update(values(await other.batch(10, 1000, 0)))
            with pytest.raises(Stale):
                await silent.commit(in_hand)
            assert await log.committed("g", TOPIC) == {}


async def test_a_silent_member_cannot_commit_even_while_it_is_told(logs: Logs) -> None:
    told: list[str] = []

    class Late(Recorder):
        async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
            try:
                await member.commit(in_hand)
            except Stale:
                told.append("stale")

    async with logs.open(topic(1), session=0.1 * logs.pace) as log, log.subscribe([TOPIC], "g", Late()) as member:
        await put(log, 0, "a")
        in_hand = await take(member, 1)
        await asyncio.sleep(0.3 * logs.pace)
        assert told == ["stale"]


async def test_a_member_that_was_silent_may_come_back(logs: Logs) -> None:
    async with logs.open(topic(1), session=0.1 * logs.pace) as log, log.subscribe([TOPIC], "g") as member:
        await put(log, 0, "a", "b", "c")
        in_hand = await member.batch(1, 1000, 0)
        await asyncio.sleep(0.3 * logs.pace)
        with pytest.raises(Stale):
            await member.commit(in_hand)
        again = await take(member, 3)
        assert values(again) == ["a", "b", "c"]
        await member.commit(again)
        assert await log.committed("g", TOPIC) == {0: 3}


async def test_a_member_that_takes_is_not_silent(logs: Logs) -> None:
    async with logs.open(topic(1), session=logs.idle / 3) as log, log.subscribe([TOPIC], "g") as member:
        await put(log, 0, "a")
        in_hand = await take(member, 1)
        assert await member.batch(1, 1, 0) == []  # that took several sessions' length
        await member.commit(in_hand)


async def test_resting_keeps_the_partitions_and_takes_nothing(logs: Logs) -> None:
    async with logs.open(topic(1), session=0.1 * logs.pace) as log, log.subscribe([TOPIC], "g") as member:
        await put(log, 0, "a")
        in_hand = await take(member, 1)
        began = time.monotonic()
        with within(2):
            await member.rest(0.4)
        assert time.monotonic() - began >= 0.39
        await member.commit(in_hand)


async def test_rest_returns_early_when_a_partition_is_revoked(logs: Logs) -> None:
    async with logs.open(topic(2)) as log, log.subscribe([TOPIC], "g") as member:
        await put(log, 0, "a")
        await take(member, 1)
        resting = asyncio.ensure_future(member.rest(60))
        await asyncio.sleep(0.02)
        async with log.subscribe([TOPIC], "g"), asyncio.timeout(5):
            await resting


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 2), st.integers(1, 4)),
        st.tuples(st.just("join"), st.just(0), st.just(0)),
        st.tuples(st.just("leave"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("take"), st.integers(0, 3), st.integers(1, 5)),
    ),
    max_size=30,
)


class Story:
    """A group whose members come and go. `seen`: how far each partition was delivered, by anyone."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.seen = [0, 0, 0]
        self.members: list[tuple[AsyncExitStack, Subscription]] = []

    async def append(self, partition: int, count: int) -> None:
        await put(self.log, partition, *(["x"] * count))

    async def join(self) -> None:
        stack = AsyncExitStack()
        self.members.append((stack, await stack.enter_async_context(self.log.subscribe([TOPIC], "g"))))

    async def leave(self, who: int) -> None:
        await self.members.pop(who)[0].aclose()

    async def take(self, member: Subscription, count: int) -> None:
        """Whatever is delivered follows what was delivered before, by whomever: nothing is skipped."""
        waiting = asyncio.ensure_future(member.batch(count, 2**20, 0))
        await asyncio.wait({waiting}, timeout=0.01)
        waiting.cancel()
        await asyncio.wait({waiting})
        entries = [] if waiting.cancelled() else waiting.result()
        for entry in entries:
            assert entry.offset <= self.seen[entry.partition]
            self.seen[entry.partition] = max(self.seen[entry.partition], entry.offset + 1)
        try:
            await member.commit(entries)
        except Stale:
            return


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps)
async def test_however_members_come_and_go_nothing_is_skipped(logs: Logs, steps: list[tuple[str, int, int]]) -> None:
    if logs.enough():
        return
    async with logs.fresh().open(topic(3)) as log:
        story = Story(log)
        for what, who, count in steps:
            match what:
                case "append":
                    await story.append(who, count)
                case "join":
                    await story.join()
                case "leave" if who < len(story.members):
                    await story.leave(who)
                case "take" if who < len(story.members):
                    await story.take(story.members[who][1], count)
                case _:
                    await asyncio.sleep(0)
        await story.join()
        while len(story.members) > 1:
            await story.leave(0)
        ends = [offsets.next for _, offsets in sorted((await log.ends(TOPIC)).items())]
        async with asyncio.timeout(5):
            while story.seen != ends:
                await story.take(story.members[0][1], 100)
        await story.leave(0)
