"""Topic rules: what is not granted is denied, and a subscription is granted only if all that it could hear is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import Rejected
from headwater.grants import check_grants, granted, within

TOPICS = [f"{a}/{b}" if b else a for a in ("a", "b", "$SYS", "") for b in ("", "a", "b", "/", "a/b", "b/a")]
FILTERS = st.lists(st.sampled_from(["a", "b", "+", ""]), min_size=1, max_size=3).flatmap(
    lambda levels: st.sampled_from(["/".join(levels), "/".join([*levels, "#"])])
)


def hears(pattern: str, topic: str) -> bool:
    """As a broker matches, written another way: by taking levels off both."""
    if topic.startswith("$") and pattern[:1] in {"+", "#"}:
        return False

    def fits(filters: list[str], levels: list[str]) -> bool:
        match filters, levels:
            case ["#"], _:
                return True
            case [first, *more], [level, *rest] if first in {"+", level}:
                return fits(more, rest)
            case [], []:
                return True
            case _:
                return False

    return fits(pattern.split("/"), topic.split("/"))


@given(grant=FILTERS, wanted=FILTERS)
def test_a_filter_within_a_grant_hears_nothing_that_the_grant_does_not(grant: str, wanted: str) -> None:
    if within(wanted, (grant,)):
        assert [topic for topic in TOPICS if hears(wanted, topic) and not hears(grant, topic)] == []


@given(grant=FILTERS)
def test_a_topic_is_granted_exactly_if_the_grant_hears_it(grant: str) -> None:
    for topic in TOPICS:
        assert within(topic, (grant,)) == hears(grant, topic)


@pytest.mark.parametrize(
    ("wanted", "grant", "is_within"),
    [
        ("a/#", "a/#", True), ("a/+", "a/#", True), ("a", "a/#", True), ("#", "a/#", False), ("+/b", "a/b", False),
        ("a/#", "a/+", False), ("a/+/c", "a/+/c", True), ("$SYS/x", "#", False), ("$SYS/x", "$SYS/#", True),
        ("#", "#", True), ("+", "+", True), ("a/b", "a", False), ("a", "", False),
    ],
)  # fmt: skip
def test_examples(wanted: str, grant: str, is_within: bool) -> None:
    assert within(wanted, (grant,)) is is_within


def test_nothing_is_granted_by_nothing() -> None:
    assert not within("a", ())


def test_the_names_of_device_and_group_stand_in_for_themselves() -> None:
    rules = check_grants(["{group}/{device}/#", "all/+"])
    assert granted(rules, "pump-7", "hall") == ("all/+", "hall/pump-7/#")


@pytest.mark.parametrize("bad", ["", "a/#/b", "a+/b", "{device", "x{device}", "{name}/a", "a" * 1025, "/" * 32, "a\0"])
def test_a_rule_that_could_not_be_meant_is_refused(bad: str) -> None:
    with pytest.raises(Rejected):
        check_grants([bad])
