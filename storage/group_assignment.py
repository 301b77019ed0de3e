"""Who of a group gets which partition: balanced, and moving as few partitions as that allows.

In: members with their topics, partitions, present owners. Out: the new owner of every partition. Pure.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import TypeVar

from headwater.log import TopicPartition

M = TypeVar("M", bound=Hashable)


def assign(
    members: Mapping[M, Collection[str]], partitions: Sequence[TopicPartition], owners: Mapping[TopicPartition, M]
) -> dict[TopicPartition, M]:
    """`members`: each with the topics it reads, in the order of joining. Partitions that nobody reads are left out.

    Afterwards no member has two partitions more than another that could take one of them.
    """
    held: dict[M, list[TopicPartition]] = {member: [] for member in members}
    free: list[TopicPartition] = []
    for at in partitions:
        owner = owners.get(at)
        if owner is not None and owner in held and at.topic in members[owner]:
            held[owner].append(at)
        else:
            free.append(at)
    for at in free:
        able = [member for member, topics in members.items() if at.topic in topics]
        if able:
            held[min(able, key=lambda member: len(held[member]))].append(at)
    while _move_one(members, held):
        pass
    return {at: member for member, ats in held.items() for at in ats}


def _move_one(members: Mapping[M, Collection[str]], held: Mapping[M, list[TopicPartition]]) -> bool:
    """Move a partition from the member that has most to one that has at least two fewer, if there is such a pair."""
    for rich in sorted(held, key=lambda member: -len(held[member])):
        for poor in sorted(held, key=lambda member: len(held[member])):
            if len(held[rich]) - len(held[poor]) < 2:
                break
            for at in reversed(held[rich]):
                if at.topic in members[poor]:
                    held[rich].remove(at)
                    held[poor].append(at)
                    return True
    return False
