"""Groups of several members, whatever the log is made of."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.errors import OffsetOutOfRange, Stale, Unavailable
from headwater.log import Log, Offset, Subscription, TopicPartition
from tests.log.kit import TOPIC, Logs, Recorder, at, new, put, take, topic, values


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
        await member.rest(0.4)
        assert 0.39 <= time.monotonic() - began < 2
        await member.commit(in_hand)


async def test_rest_returns_early_when_a_partition_is_revoked(logs: Logs) -> None:
    async with logs.open(topic(2)) as log, log.subscribe([TOPIC], "g") as member:
        await put(log, 0, "a")
        await take(member, 1)
        resting = asyncio.ensure_future(member.rest(60))
        await asyncio.sleep(0.02)
        async with log.subscribe([TOPIC], "g"), asyncio.timeout(5):
            await resting


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


async def test_a_batch_returns_as_soon_as_it_has_the_records_or_the_bytes(logs: Logs) -> None:
    async with logs.open(topic(1)) as log, log.subscribe([TOPIC], "g") as member:
        await put(log, 0, *("x" * 100 for _ in range(50)))
        async with asyncio.timeout(5):
            assert [e.offset for e in await member.batch(7, 2**20, 60)] == list(range(7))
            by_size = await member.batch(1000, 1000, 60)
            assert [e.offset for e in by_size] == list(range(7, 7 + len(by_size)))
            assert 9 <= len(by_size) <= 11
            assert len(await member.batch(1, 1, 60)) == 1
            rest = await member.batch(50 - 8 - len(by_size), 2**20, 60)
            assert rest[-1].offset == 49


async def test_a_batch_waits_for_company_but_not_longer_than_told(logs: Logs) -> None:
    async with logs.open(topic(2)) as log, log.subscribe([TOPIC], "g") as member:
        await member.batch(1, 1, 0)
        waiting = asyncio.ensure_future(member.batch(100, 10_000, 0.3))
        await asyncio.sleep(0.02)
        began = time.monotonic()
        for value in "abc":
            await put(log, ord(value) % 2, value)
            await asyncio.sleep(0.02)
        assert sorted(values(await waiting)) == ["a", "b", "c"]
        assert 0.25 < time.monotonic() - began < 1
        await put(log, 0, "d")
        await asyncio.sleep(0.2)
        began = time.monotonic()
        assert values(await member.batch(100, 10_000, 0.2)) == ["d"]
        assert time.monotonic() - began < 0.15  # it had waited already


async def test_a_batch_wakes_up_for_the_first_entry_and_sleeps_without_one(logs: Logs) -> None:
    async with logs.open(topic(1)) as log, log.subscribe([TOPIC], "g") as member:
        began = time.monotonic()
        assert await member.batch(10, 1000, 0.005) == []
        assert 0.9 < (time.monotonic() - began) / logs.idle < 3
        waiting = asyncio.ensure_future(member.batch(10, 1000, 0))
        await asyncio.sleep(0.02)
        await put(log, 0, "a")
        async with asyncio.timeout(0.5):
            assert values(await waiting) == ["a"]


async def test_a_cancelled_batch_has_taken_nothing(logs: Logs) -> None:
    async with logs.open(topic(1)) as log, log.subscribe([TOPIC], "g") as member:
        await put(log, 0, "a", "b", "c")
        assert values(await member.batch(1, 1000, 0)) == ["a"]
        waiting = asyncio.ensure_future(member.batch(100, 10_000, 30))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert values(await take(member, 2)) == ["b", "c"]


async def test_a_backlog_of_one_partition_does_not_starve_another(logs: Logs) -> None:
    async with logs.open(topic(2)) as log:
        for _ in range(10):
            await put(log, 0, *(["x"] * 2_000))
        await put(log, 1, "here")
        async with log.subscribe([TOPIC], "g") as member:
            taken = [await member.batch(1_500, 2**20, 0) for _ in range(5)]
        assert "here" in {value for batch in taken for value in values(batch)}


async def test_a_closed_log_says_so_to_its_members(logs: Logs) -> None:
    async with AsyncExitStack() as stack:
        async with logs.open(topic(1)) as log:
            member = await stack.enter_async_context(log.subscribe([TOPIC], "g"))
            await put(log, 0, "a")
            entries = await take(member, 1)
            waiting = asyncio.ensure_future(member.batch(1, 1, 0))
            await asyncio.sleep(0.02)
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            await member.commit(entries)


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
