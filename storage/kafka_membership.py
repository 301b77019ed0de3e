"""What the Kafka log uses of aiokafka's groups: a member's place in one, and what a group has committed.

In: a consumer or an admin client. Out: generation, commits, signs of life. Two of aiokafka's inner parts are used, and
only here: the coordinator's generation (so that a commit is never sent under another one than the batch was taken
under), and the fetcher's waiters (so that a wait for entries can be given up without losing any). Commits are asked
for by requests of our own: aiokafka overlooks what an answer says of the whole group (its coordinator is loading, has
moved, who asks has no right), and gives a group without commits instead, which would begin anew or go without the lake.
"""

# ruff: noqa: SLF001 aiokafka has no public word for these inner parts; they are used in this file alone
import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, cast

import aiokafka.errors as kafka_errors  # pyright: ignore[reportMissingTypeStubs] there are none
import aiokafka.protocol.commit as kafka_commit  # pyright: ignore[reportMissingTypeStubs]

from headwater.log import Offset, TopicPartition
from storage.kafka_client import Admin, Consumer, GroupLost, KafkaError, partition_of

_PAUSE = 0.1


class _Committed(NamedTuple):
    """aiokafka's offset and metadata."""

    offset: int
    metadata: str


class Membership:
    """A consumer's place in its group: its generation, commits under it, and its signs of life."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = cast("Any", consumer)

    @property
    def generation(self) -> int:
        """Below 1: not a member, or no longer."""
        coordinator = self._consumer._coordinator
        return coordinator.generation if coordinator is not None else -1

    def alive(self) -> AbstractContextManager[None]:
        """Within the block the member counts as one that takes entries."""
        return self._consumer._subscription.fetch_context()

    def arrival(self) -> "asyncio.Future[None]":
        """Done when a fetch has brought something, or has failed; cancel it when it is no longer needed."""
        return self._consumer._fetcher._create_fetch_waiter()

    @property
    def broken(self) -> bool:
        """True if its work in the background has ended for good: aiokafka's does when two of its tasks collide."""
        coordinator = self._consumer._coordinator
        return coordinator is None or coordinator._coordination_task.done()

    def check(self) -> None:
        """Raises what went wrong in the background: authorization, mostly. Only while it is not broken."""
        self._consumer._coordinator.check_errors()

    async def commit(self, generation: int, offsets: Mapping[TopicPartition, Offset]) -> None:
        """Commit as a member of that generation or not at all: raises one of `GroupLost`, `KafkaError`."""
        coordinator = self._consumer._coordinator
        await coordinator.ensure_coordinator_known()
        if coordinator.generation != generation or generation < 1:
            raise GroupLost[0]
        # Nothing is awaited between this check and the making of the request, so that it carries this generation.
        wanted = {at: _Committed(offset, "") for at, offset in offsets.items()}
        await coordinator._do_commit_offsets(None, wanted)

    async def committed(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, Offset]:
        """The group's commits, where there are any. Raises `KafkaError`."""
        coordinator = self._consumer._coordinator
        request = _asking_for_commits(coordinator.group_id, partitions)
        while True:
            await coordinator.ensure_coordinator_known()
            try:
                return _commits_in(await coordinator._send_req(request))
            except KafkaError as error:  # the coordinator has moved, or is loading: it may know better soon
                if not getattr(error, "retriable", False):
                    raise
                if isinstance(error, kafka_errors.NotCoordinatorForGroupError):
                    coordinator.coordinator_dead()
                await asyncio.sleep(_PAUSE)


async def commits(admin: Admin, group: str, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, Offset]:
    """A group's commits, where there are any, whoever asks. Raises `KafkaError`."""
    coordinator = await admin.find_coordinator(group)
    return _commits_in(await cast("Any", admin)._send_request(_asking_for_commits(group, partitions), coordinator))


def _asking_for_commits(group: str, partitions: Iterable[TopicPartition]) -> object:
    topics: dict[str, list[int]] = {}
    for topic, partition in partitions:
        topics.setdefault(topic, []).append(partition)
    made = cast("Any", kafka_commit.OffsetFetchRequest)
    return made(group, list(topics.items()))


def _commits_in(answer: Any) -> Mapping[TopicPartition, Offset]:
    """Raises what the answer says of a partition, or of the whole group."""
    parts = [(topic, *part) for topic, found in answer.topics for part in found]
    for code in (getattr(answer, "error_code", 0), *(code for *_, code in parts)):
        if code:
            raise kafka_errors.for_code(code)
    return {partition_of(topic, partition): offset for topic, partition, offset, *_ in parts if offset >= 0}
