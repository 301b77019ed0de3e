"""Topic aliases towards one client, for one connection. Source: OASIS MQTT 5.0, section 3.3.2.3.4.

In: the topic alias maximum that the client gave, topics as they go out. Out: for each its alias, and whether the client
knows it by now. The first topics it hears get the aliases there are, and keep them: most clients hear few.
"""

ALIASES_OUT = 64
"""Aliases that are given to a client, whatever it allows: each is kept for it."""


class Aliases:
    """`most`: what the client allows."""

    __slots__ = ("_given", "_most")

    def __init__(self, most: int) -> None:
        self._most = min(most, ALIASES_OUT)
        self._given: dict[str, int] = {}

    def of(self, topic: str) -> tuple[int, bool]:
        """The topic's alias (0: it gets none), and whether the client knows it."""
        alias = self._given.get(topic)
        if alias is not None:
            return alias, True
        free = len(self._given) + 1
        return (free if free <= self._most else 0), False

    def told(self, topic: str, alias: int) -> None:
        """A packet that names both has been sent."""
        self._given[topic] = alias
