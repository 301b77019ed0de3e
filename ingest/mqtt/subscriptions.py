"""Who has subscribed to what: a trie of filters, and the answer for a topic remembered until a subscription changes.

In: filters that `topics.check_filter` has passed, and who holds them. Out: for a topic name, everyone who should hear
it and by which of their subscriptions. Source: OASIS MQTT 5.0, section 4.7.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

import msgspec

_REMEMBERED = 4096
"""Topics whose answer is kept."""


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """What a subscription was granted. `identifier` is 0 where the client gave none.

    `since`: the offset on topic `routed` from which it holds.
    """

    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    identifier: int = 0
    since: int = 0


H = TypeVar("H", bound=Hashable)
Matches = Mapping[H, tuple[Grant, ...]]
"""Holder → the grants of all its subscriptions that fit."""


class _Node(Generic[H]):
    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Node[H]] = {}
        self.here: dict[H, Grant] = {}


class Subscriptions(Generic[H]):
    """All subscriptions of an endpoint, by filter and holder. `count` is their number."""

    def __init__(self) -> None:
        self._root: _Node[H] = _Node()
        self.count = 0
        self._remembered: dict[str, Matches[H]] = {}

    def add(self, pattern: str, holder: H, grant: Grant) -> None:
        """Subscribe; a holder's earlier subscription to the same filter is replaced."""
        node = self._root
        for level in pattern.split("/"):
            node = node.below.setdefault(level, _Node())
        self.count += holder not in node.here
        node.here[holder] = grant
        self._remembered.clear()

    def remove(self, pattern: str, holder: H) -> bool:
        """Unsubscribe; False if there was nothing to end."""
        levels = pattern.split("/")
        path = [self._root]
        for level in levels:
            node = path[-1].below.get(level)
            if node is None:
                return False
            path.append(node)
        if path[-1].here.pop(holder, None) is None:
            return False
        self.count -= 1
        self._remembered.clear()
        for level, parent, node in zip(reversed(levels), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if node.here or node.below:
                break
            del parent.below[level]
        return True

    def match(self, topic: str) -> Matches[H]:
        """Who hears this topic."""
        found = self._remembered.get(topic)
        if found is None:
            found = self._match(topic)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[topic] = found
        return found

    def _match(self, topic: str) -> Matches[H]:
        found: dict[H, tuple[Grant, ...]] = {}
        nodes = [self._root]
        wild = not topic.startswith("$")  # a wildcard in the first level does not reach $SYS and the like
        for level in topic.split("/"):
            following: list[_Node[H]] = []
            for node in nodes:
                if wild and "#" in node.below:
                    _collect(node.below["#"].here.items(), found)
                following += [node.below[key] for key in ((level, "+") if wild else (level,)) if key in node.below]
            nodes, wild = following, True
        for node in nodes:
            _collect(node.here.items(), found)
            if "#" in node.below:  # `a/#` also fits `a`
                _collect(node.below["#"].here.items(), found)
        return found


def _collect(items: Iterable[tuple[H, Grant]], found: dict[H, tuple[Grant, ...]]) -> None:
    for holder, grant in items:
        found[holder] = (*found.get(holder, ()), grant)
