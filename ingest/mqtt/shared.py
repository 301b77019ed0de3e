"""Shared subscriptions: of a group's members one gets each message. Source: OASIS MQTT 5.0, section 4.8.2.

In: `$share/{group}/{filter}` and who holds it, in every gateway. Out: for a message, one member a group, in turn,
those that are connected first. The gateway that a message comes to chooses, so it goes to one in all.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ingest.mqtt.subscriptions import Grant, Subscriptions

SHARED = "$share/"
_REMEMBERED = 4096
_COMMAND = 4
"""Levels of `devices/{device}/commands/{id}`."""


def inner(pattern: str) -> str:
    """The filter itself, where it stands in a shared subscription."""
    return pattern.split("/", 2)[-1] if pattern.startswith(SHARED) else pattern


def names_commands(pattern: str) -> bool:
    """A shared subscription to commands themselves: they have one receiver already, and no group decides about them.

    Replies, and wildcards that happen to fit commands among all else, are shared as everything is.
    """
    levels = inner(pattern).split("/")
    return (
        pattern.startswith(SHARED)
        and len(levels) == _COMMAND
        and levels[0] in {"devices", "+"}
        and levels[2] == "commands"
    )


class Member(NamedTuple):
    """`group`: its name and filter; `key`: a session."""

    group: str
    key: str


class Groups:
    """`members`: of all groups together."""

    def __init__(self) -> None:
        self.members: Subscriptions[Member] = Subscriptions()
        self._turns: dict[str, int] = {}
        self._remembered: dict[str, Sequence[tuple[str, Sequence[tuple[str, Grant]]]]] = {}

    def add(self, pattern: str, key: str, grant: Grant) -> None:
        """A session joins a group, or changes its grant."""
        self.members.add(inner(pattern), Member(pattern, key), grant)
        self._remembered.clear()

    def remove(self, pattern: str, key: str) -> bool:
        """It leaves; False if it was not there."""
        self._remembered.clear()
        return self.members.remove(inner(pattern), Member(pattern, key))

    def choose(self, topic: str, rank: Callable[[str, Grant], int]) -> list[tuple[str, Grant]]:
        """A member of each group that hears the topic: the next one of those ranked lowest; none where all are below 0.

        `rank`: of a session, by its grant.
        """
        chosen: list[tuple[str, Grant]] = []
        for group, members in self._groups(topic):
            turn = self._turns.get(group, 0)
            best, best_rank = -1, -1
            for step in range(len(members)):
                at = (turn + step) % len(members)
                found = rank(*members[at])
                if found >= 0 and (best < 0 or found < best_rank):
                    best, best_rank = at, found
                    if not found:
                        break
            if best >= 0:
                self._turns[group] = best + 1
                chosen.append(members[best])
        return chosen

    def _groups(self, topic: str) -> Sequence[tuple[str, Sequence[tuple[str, Grant]]]]:
        found = self._remembered.get(topic)
        if found is None:
            groups: dict[str, list[tuple[str, Grant]]] = {}
            for member, grants in self.members.match(topic).items():
                groups.setdefault(member.group, []).append((member.key, grants[0]))
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
                self._turns.clear()
            found = self._remembered[topic] = list(groups.items())
        return found
