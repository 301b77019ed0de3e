"""What a store was seen to have applied. Where it has less, it came back empty, or from an old copy.

In: its ledger, as it was read and moved. Out: `Stale` for a writer who would go on as if nothing had happened: a store
that filters by its own ledger takes what comes next into empty tables without a word, and what was lost would never be
offered again.
"""

from collections.abc import Iterable, Mapping

from headwater.errors import Stale

Ledger = Mapping[tuple[str, int], int]
"""(Topic, partition) → highest position applied."""


class Seen:
    """One open store's. `name`: of the backend, for a person."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ledger: dict[tuple[str, int], int] = {}

    def begin(self, topic: str, ledger: Mapping[int, int]) -> None:
        """A writer of this topic begins with this ledger, whatever was there before."""
        self._ledger = {key: position for key, position in self._ledger.items() if key[0] != topic}
        self.moved({(topic, partition): position for partition, position in ledger.items()})

    def moved(self, ledger: Ledger) -> None:
        """So far it is durable."""
        self._ledger |= ledger

    def check(self, keys: Iterable[tuple[str, int]], found: Ledger) -> None:
        """Raises `Stale` if a write to these partitions finds less than was there."""
        if any(found.get(key, -1) < self._ledger.get(key, -1) for key in keys):
            raise Stale(f"{self._name} came back without what it had")
