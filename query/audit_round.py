"""What all comparisons of one audit share: what was on the log when it began, patience, and doubts.

In: what was read of the log. Out: the same for every comparison, and names that only the lake can say something of.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from headwater.log import ReadableLog
from query.audit_findings import Finding
from query.audit_log import Chosen, Ends, Messages, Rejections

FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0

Told = tuple[Finding, str]
"""Where and how to say that a record is extra."""


class Limits(NamedTuple):
    """Seconds. How long stores keep what they have: documents and search by `time`, rows by `received`.

    `ahead`: how far ahead of `received` a message's `time` can be.
    """

    documents: float
    search: float
    rows: float
    ahead: float


class Patience:
    """How long to wait for what is behind: until one instant, for all stores together, looking less and less often."""

    def __init__(self, seconds: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + seconds

    @property
    def over(self) -> bool:
        return self._clock() >= self._end

    async def pause(self, pause: float) -> float:
        """Wait; the next pause."""
        await asyncio.sleep(min(pause, max(0.0, self._end - self._clock())))
        return min(2 * pause, _LONGEST_PAUSE)


class Doubts:
    """Names that a store has and the log has not. The log's retention may have dropped them: then the lake has them."""

    def __init__(self) -> None:
        self.messages: dict[tuple[str, str], list[Told]] = {}
        self.candidates: dict[str, list[Told]] = {}

    def of_message(self, named: tuple[str, str], finding: Finding, text: str) -> None:
        self.messages.setdefault(named, []).append((finding, text))

    def of_candidate(self, one: str, finding: Finding, text: str) -> None:
        self.candidates.setdefault(one, []).append((finding, text))

    def settle(self) -> None:
        """What is left is extra."""
        for told in (*self.messages.values(), *self.candidates.values()):
            for finding, text in told:
                finding.exceeds(text)


class Round(NamedTuple):
    """One audit. `now`: microseconds since 1970 UTC."""

    log: ReadableLog
    messages: Messages
    candidate_ends: Ends
    candidates: Mapping[str, Chosen]
    rejections: Rejections
    patience: Patience
    doubts: Doubts
    limits: Limits
    now: Callable[[], int]
