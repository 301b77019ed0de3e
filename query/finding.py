"""Search: what the store finds and what it has yet to take, as one.

In: a question. Out: a page of candidates by (time, id), each in its newest revision. What the store has not applied yet
is looked through here, by the same words.
"""

from collections.abc import Sequence
from typing import NamedTuple

from headwater.log import CANDIDATES
from headwater.message import Candidate, decode_candidate, read
from headwater.places import distance
from query.cursor import Cursors
from query.history import FRESH_SECONDS, Ask, Page
from query.problems import Unanswerable
from query.tail import Tail
from storage.contract import Circle, SearchReader, Term
from storage.search_words import terms_of, words_of


class Sought(NamedTuple):
    """What to find: all the terms, and within the circle if there is one."""

    terms: Sequence[Term]
    within: Circle | None = None

    def found_in(self, candidate: Candidate) -> bool:
        """True if the candidate meets all of it."""
        if self.within is not None:
            position = candidate.message.position
            if position is None or distance(self.within.lat, self.within.lon, position.lat, position.lon) > (
                self.within.radius
            ):
                return False
        words, pairs = words_of(candidate)
        return all(_meets(term, pairs if term.field else words) for term in self.terms)


def sought(question: str, within: Circle | None = None) -> Sought:
    """Read a question; raises `Unanswerable`."""
    try:
        return Sought(terms_of(question), within)
    except ValueError as error:
        raise Unanswerable(400, "bad_query", str(error)) from None


class Finding:
    """Answers from the search store and the tail. `retention`: microseconds a candidate can be found."""

    def __init__(self, store: SearchReader, tail: Tail, *, log_id: str) -> None:
        self._store = store
        self._tail = tail
        self._cursors = Cursors("search", tuple[int, str], log_id)

    async def search(self, what: Sought, ask: Ask) -> Page[Candidate]:
        """Candidates that meet it. Raises `Unavailable`."""
        after = self._cursors.read(ask.order, ask.cursor) if ask.cursor else None
        await self._tail.reach(CANDIDATES, FRESH_SECONDS, None)
        known, ledger = await self._store.search(
            what.terms, ask.span, ask.limit + 1, within=what.within, newest_first=ask.newest_first, after=after
        )
        newest = {row.id: row for row in known}
        for entry in await self._tail.above(CANDIDATES, ledger):
            row = read(decode_candidate, entry.value)
            if row is None:
                continue
            wanted = ask.within(row.time) and ask.behind((row.time, row.id), after) and what.found_in(row)
            if wanted and (row.id not in newest or newest[row.id].revision < row.revision):
                newest[row.id] = row
        rows = sorted(newest.values(), key=lambda row: (row.time, row.id), reverse=ask.newest_first)
        cut = rows[: ask.limit]
        more = len(rows) > ask.limit
        return Page(cut, self._cursors.write(ask.order, (cut[-1].time, cut[-1].id)) if more else None)


def _meets(term: Term, said: Sequence[str]) -> bool:
    wanted = f"{term.field}:{term.text}" if term.field else term.text
    return any(one.startswith(wanted) for one in said) if term.prefix else wanted in said
