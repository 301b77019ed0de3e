"""Laws of sharing partitions among members."""

from hypothesis import given
from hypothesis import strategies as st

from headwater.log import TopicPartition
from storage.group_assignment import assign

TOPICS = ("a", "b", "c")
_members = st.dictionaries(st.integers(0, 9), st.sets(st.sampled_from(TOPICS), min_size=1), max_size=6)
_counts = st.fixed_dictionaries({topic: st.integers(0, 6) for topic in TOPICS})


def _all(counts: dict[str, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic in TOPICS for number in range(counts[topic])]


@given(members=_members, counts=_counts, before=_members)
def test_every_partition_that_someone_reads_has_one_owner_who_reads_it(
    members: dict[int, set[str]], counts: dict[str, int], before: dict[int, set[str]]
) -> None:
    owners = assign(members, _all(counts), assign(before, _all(counts), {}))
    assert set(owners) == {at for at in _all(counts) if any(at.topic in topics for topics in members.values())}
    assert all(at.topic in members[owner] for at, owner in owners.items())


@given(members=_members, counts=_counts, before=_members)
def test_nobody_has_two_more_than_another_who_could_take_one(
    members: dict[int, set[str]], counts: dict[str, int], before: dict[int, set[str]]
) -> None:
    owners = assign(members, _all(counts), assign(before, _all(counts), {}))
    held = {member: [at for at, owner in owners.items() if owner == member] for member in members}
    for rich in members:
        for poor, topics in members.items():
            if any(at.topic in topics for at in held[rich]):
                assert len(held[rich]) - len(held[poor]) < 2


@given(members=_members, counts=_counts)
def test_without_a_change_nothing_moves(members: dict[int, set[str]], counts: dict[str, int]) -> None:
    owners = assign(members, _all(counts), {})
    assert assign(members, _all(counts), owners) == owners


@given(number=st.integers(1, 6), partitions=st.integers(0, 24))
def test_a_member_more_or_less_moves_only_its_share(number: int, partitions: int) -> None:
    ats = [TopicPartition("a", n) for n in range(partitions)]
    few = {member: {"a"} for member in range(number)}
    many = {**few, number: {"a"}}
    before = assign(few, ats, {})
    joined = assign(many, ats, before)
    assert sum(before[at] != joined[at] for at in ats) == partitions // (number + 1)
    left = assign(few, ats, joined)
    assert all(left[at] == joined[at] for at in ats if joined[at] != number)
