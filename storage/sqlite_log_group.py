"""A consumer group: its members in this process, and the task that moves partitions between them.

In: members that join, leave or fall silent. Out: partitions withdrawn from one (its `revoked` hook is awaited) and
then granted to another.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from headwater.log import TopicPartition
from storage.group_assignment import assign


class GroupMember(Protocol):
    """What the group asks of a member."""

    @property
    def topics(self) -> Sequence[str]: ...

    @property
    def silent_since(self) -> float | None:
        """The loop's time when it last took something; None while it is taking."""
        ...

    def grant(self, partitions: Sequence[TopicPartition]) -> None:
        """These are yours from now on."""
        ...

    async def withdraw(self, partitions: Sequence[TopicPartition], *, lost: bool) -> None:
        """Hand these out no more; return when they may be given to another. `lost`: they are not yours at once."""
        ...


class Group:
    """`partitions`: topic → count. `session`: seconds of silence after which a member loses its partitions."""

    def __init__(self, partitions: Mapping[str, int], session: float) -> None:
        self._counts = partitions
        self._session = session
        self._members: list[GroupMember] = []
        self._owners: dict[TopicPartition, GroupMember] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def join(self, member: GroupMember) -> None:
        """Take part, from the next turn of the loop on. Joining again changes nothing."""
        if member in self._members:
            return
        self._members.append(member)
        self._changed.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._coordinate())

    def leave(self, member: GroupMember) -> None:
        """Give everything up at once; `revoked` is not called, the member knows."""
        if member in self._members:
            self._members.remove(member)
        for at in [at for at, owner in self._owners.items() if owner is member]:
            del self._owners[at]
        self._changed.set()
        if not self._members:
            self.close()

    def close(self) -> None:
        """No more moves."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _coordinate(self) -> None:
        while True:
            self._changed.clear()
            await self._rebalance()
            try:
                async with asyncio.timeout(self._until_silence()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _until_silence(self) -> float | None:
        """Seconds until the first member may have been silent for too long."""
        since = [member.silent_since for member in self._members]
        now = asyncio.get_running_loop().time()
        # A member that is taking now can be silent for a session's length at the soonest after that.
        return max(0.0, min((now if at is None else at) + self._session for at in since) - now) if since else None

    async def _rebalance(self) -> None:
        silent = self._drop_silent()
        target = assign({member: member.topics for member in self._members}, self._partitions(), self._owners)
        going: dict[GroupMember, list[TopicPartition]] = {}
        for at, owner in self._owners.items():
            if owner in silent or target.get(at) is not owner:
                going.setdefault(owner, []).append(at)
        await asyncio.gather(*(member.withdraw(sorted(ats), lost=member in silent) for member, ats in going.items()))
        for owner, ats in going.items():
            for at in ats:
                if self._owners.get(at) is owner:
                    del self._owners[at]
        self._grant(target)

    def _drop_silent(self) -> list[GroupMember]:
        latest = asyncio.get_running_loop().time() - self._session
        silent = [member for member in self._members if (at := member.silent_since) is not None and at <= latest]
        self._members = [member for member in self._members if member not in silent]
        return silent

    def _grant(self, target: Mapping[TopicPartition, GroupMember]) -> None:
        granted: dict[GroupMember, list[TopicPartition]] = {}
        for at, member in target.items():
            # Members may have left while others gave partitions up; what is left over waits for the next round.
            if at not in self._owners and member in self._members:
                self._owners[at] = member
                granted.setdefault(member, []).append(at)
        for member, ats in granted.items():
            member.grant(sorted(ats))

    def _partitions(self) -> list[TopicPartition]:
        topics = sorted({topic for member in self._members for topic in member.topics})
        return [TopicPartition(topic, number) for topic in topics for number in range(self._counts[topic])]


GroupOf = Callable[[str], Group]
"""The group of that name."""
