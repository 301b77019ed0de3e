"""The trie finds whom a comparison of each filter with the topic finds."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.mqtt.subscriptions import Grant, Subscriptions

LEVEL = st.sampled_from(["a", "b", "", "$x"])
NAME = st.lists(LEVEL, min_size=1, max_size=4).map("/".join)
FILTER = st.one_of(
    st.lists(LEVEL | st.just("+"), min_size=1, max_size=4).map("/".join),
    st.lists(LEVEL | st.just("+"), max_size=3).map(lambda levels: "/".join([*levels, "#"])),
)


def fits(pattern: str, topic: str) -> bool:
    """As section 4.7 of the standard puts it, level by level."""
    if pattern[0:1] in {"+", "#"} and topic.startswith("$"):
        return False
    filters, levels = pattern.split("/"), topic.split("/")
    while filters:
        first = filters.pop(0)
        if first == "#":
            return True
        if not levels or first not in {"+", levels.pop(0)}:
            return False
        if not levels:
            return filters in ([], ["#"])
    return not levels


def test_the_standard_s_own_examples() -> None:
    for pattern, topic, so in [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/monitor", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/monitor", True),
    ]:
        found: Subscriptions[int] = Subscriptions()
        found.add(pattern, 1, Grant())
        assert bool(found.match(topic)) is so, (pattern, topic)
        assert fits(pattern, topic) is so, (pattern, topic)


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[bool, str, int, int]]:
    """Subscribing (True) or not, filter, holder, QoS; of few filters, so that they are often ended and replaced."""
    patterns = draw(st.lists(FILTER, min_size=1, max_size=5))
    one = st.tuples(st.booleans(), st.sampled_from(patterns), st.integers(1, 3), st.integers(0, 2))
    return draw(st.lists(one, max_size=30))


@given(changes(), st.lists(NAME, max_size=5))
def test_everyone_who_subscribed_and_nobody_else_is_found(
    changed: list[tuple[bool, str, int, int]], topics: list[str]
) -> None:
    found: Subscriptions[int] = Subscriptions()
    held: dict[tuple[str, int], Grant] = {}
    for adds, pattern, holder, qos in changed:
        for topic in topics:
            found.match(topic)  # what is remembered must not outlive the change
        if adds:
            held[pattern, holder] = Grant(qos)
            found.add(pattern, holder, Grant(qos))
        else:
            assert found.remove(pattern, holder) is (held.pop((pattern, holder), None) is not None)
        assert found.count == len(held)
    for topic in topics:
        expected: dict[int, list[int]] = {}
        for (pattern, holder), grant in held.items():
            if fits(pattern, topic):
                expected.setdefault(holder, []).append(grant.qos)
        matches = {holder: sorted(grant.qos for grant in grants) for holder, grants in found.match(topic).items()}
        assert matches == {holder: sorted(grants) for holder, grants in expected.items()}


def test_nothing_is_left_of_subscriptions_that_ended() -> None:
    found: Subscriptions[int] = Subscriptions()
    patterns = [f"a/{number}/+/#" for number in range(50)]
    for pattern in patterns:
        found.add(pattern, 1, Grant())
    for pattern in patterns:
        found.remove(pattern, 1)
    assert not found._root.below  # pyright: ignore[reportPrivateUsage]
