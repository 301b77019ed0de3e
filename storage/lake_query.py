"""A question to one table, answered by DuckDB over just the files that can hold the answer; one row an id.

In: a table at one version, and a `Question`. Out: rows in the asked order, each (device, id) once. Files are opened in
the order of their times until no other one can come before what was found; then doubles of what was found are looked
for, so that neither grows with what the table holds.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

from headwater.times import SECOND
from storage.contract import Span
from storage.lake_schema import Table
from storage.lake_snapshot import DataFile

_FILES = 32
_SPARE = 16
DOUBLES_WITHIN = 86_400 * SECOND
"""A message timed by our clock has another time when it is sent again: its copies are looked for so far around."""


Condition = tuple[str, Sequence[Any]]
"""SQL that is true or false of a row, and its values."""

Local = Callable[[Sequence[str]], AbstractContextManager[Sequence[str]]]
"""Data files → what DuckDB calls them, for as long as it is held."""

Execute = Callable[[str, Sequence[Any]], list[Any]]
"""SQL and its values → all rows. Raises when nobody waits for them any more."""


class Question(NamedTuple):
    """`order`: the columns that order rows, the first one a time stamp; `after`: their values, to go on behind.

    `span` is of that time stamp. `where`: more conditions (SQL and its values). `select`: what the answer's rows have.
    """

    table: Table
    select: str
    device: str | None
    span: Span
    order: tuple[str, ...]
    newest_first: bool
    after: tuple[Any, ...] | None = None
    where: tuple[Condition, ...] = ()
    drifts: str = "false"
    """SQL: whether a row's time stamp may be another one in a copy of it."""


class Found(NamedTuple):
    """A row: where it stands in the order (times in microseconds), what identifies it, and what was asked for."""

    key: tuple[Any, ...]
    device: str
    id: str
    place: tuple[int, int]
    drifts: bool
    columns: Sequence[Any]


class Answer:
    """Answers one question. `local`: see `LakeFiles.local`. For one thread."""

    def __init__(self, execute: Execute, local: Local, files: Sequence[DataFile], question: Question) -> None:
        self._execute = execute
        self._local = local
        self._question = question
        self._files = files
        newest = question.newest_first
        start, end = question.span
        if question.after is not None:
            edge: int = question.after[0]
            if newest:
                end = edge + 1 if end is None else min(end, edge + 1)
            else:
                start = edge if start is None else max(start, edge)
        able = [file for file in files if file.may_hold(question.device, start, end)]
        self._able = sorted(able, key=lambda file: _bound(file, newest=newest), reverse=newest)

    def rows(self, limit: int) -> list[Found]:
        """At most `limit`, in the asked order."""
        question, found = self._question, list[Found]()
        after = question.after
        while len(found) < limit:
            asked = limit - len(found) + _SPARE
            page = self._page(after, asked)
            found += self._first_copies(page)
            if len(page) < asked:
                break
            after = page[-1].key
        return found[:limit]

    def _page(self, after: tuple[Any, ...] | None, count: int) -> list[Found]:
        """The next rows, doubles included: from more and more files, until no other one can have one of them."""
        newest = self._question.newest_first
        page: list[Found] = []
        start, take = 0, _FILES
        while start < len(self._able):
            more = self._query(self._able[start : start + take], after, count)
            page = list(islice(merge(page, more, key=_key, reverse=newest), count))
            start, take = start + take, 2 * take
            if len(page) == count and start < len(self._able) and self._beyond(self._able[start], page[-1].key[0]):
                break
        return page

    def _beyond(self, file: DataFile, time: int) -> bool:
        bound = _bound(file, newest=self._question.newest_first)
        return bound < time if self._question.newest_first else bound > time

    def _query(self, files: Sequence[DataFile], after: tuple[Any, ...] | None, count: int) -> list[Found]:
        question = self._question
        conditions = [*question.where, *self._within(question.device, question.span), *self._behind(after)]
        direction = "DESC" if question.newest_first else "ASC"
        keys = ", ".join(f'epoch_us("{name}")' if name in _STAMPS else f'"{name}"' for name in question.order)
        order = ", ".join(f'"{name}" {direction}' for name in question.order)
        sql = (
            f'SELECT device, id, "partition", "offset", {question.drifts}, '  # noqa: S608 -- our own words
            f"{keys}, {question.select} "
            f"FROM read_parquet(?) WHERE {_all(conditions)} ORDER BY {order} LIMIT {count:d}"
        )
        rows = self._rows_of(files, sql, conditions)
        start, end = 5, 5 + len(question.order)
        return [Found(row[start:end], row[0], row[1], (row[2], row[3]), row[4], row[end:]) for row in rows]

    def _within(self, device: str | None, span: Span) -> Iterator[Condition]:
        stamp = self._question.order[0]
        if device is not None:
            yield "device = ?", [device]
        if span.start is not None:
            yield f'"{stamp}" >= make_timestamptz(?)', [span.start]
        if span.end is not None:
            yield f'"{stamp}" < make_timestamptz(?)', [span.end]

    def _behind(self, after: tuple[Any, ...] | None) -> Iterator[Condition]:
        if after is not None:
            order, sign = self._question.order, "<" if self._question.newest_first else ">"
            values = ", ".join("make_timestamptz(?)" if name in _STAMPS else "?" for name in order)
            names = ", ".join(f'"{name}"' for name in order)
            yield f'"{order[0]}" {sign}= make_timestamptz(?)', [after[0]]
            yield f"({names}) {sign} ({values})", list(after)

    def _first_copies(self, page: Sequence[Found]) -> Iterator[Found]:
        """Of each (device, id) the row that counts, if it is on the page."""
        winners = self._winners(page) if page else {}
        for row in page:
            if winners.get((row.device, row.id), row.place) == row.place:
                yield row

    def _winners(self, page: Sequence[Found]) -> dict[tuple[str, str], tuple[int, int]]:
        """For each (device, id) of the page that stands there more than once: the place of the row that counts."""
        question = self._question
        low = min(row.key[0] - DOUBLES_WITHIN * row.drifts for row in page)
        high = max(row.key[0] + DOUBLES_WITHIN * row.drifts for row in page)
        files = [file for file in self._files if file.may_hold(question.device, low, high + 1)]
        conditions = list(self._within(question.device, Span(low, high + 1)))
        conditions.append(("id IN (SELECT unnest(?))", [[row.id for row in page]]))
        sql = (
            f'SELECT device, id, "partition", "offset" FROM read_parquet(?) WHERE {_all(conditions)} '  # noqa: S608
            f"QUALIFY row_number() OVER (PARTITION BY device, id ORDER BY {question.table.rank}) = 1 "
            f"AND count(*) OVER (PARTITION BY device, id) > 1"
        )
        rows = self._rows_of(files, sql, conditions)
        return {(device, id_): (partition, offset) for device, id_, partition, offset in rows}

    def _rows_of(self, files: Sequence[DataFile], sql: str, conditions: Sequence[Condition]) -> list[Any]:
        folder = self._question.table.name
        with self._local([f"{folder}/{file.path}" for file in files]) as names:
            return self._execute(sql, [names, *_values(conditions)])


_STAMPS = {"time", "received"}
_key = attrgetter("key")


def _bound(file: DataFile, *, newest: bool) -> float:
    """The time that a file's rows cannot go beyond."""
    if file.time is None:
        return float("inf") if newest else float("-inf")
    return file.time[1] if newest else file.time[0]


def _all(conditions: Sequence[Condition]) -> str:
    return " AND ".join(f"({sql})" for sql, _ in conditions) or "true"


def _values(conditions: Sequence[Condition]) -> list[Any]:
    return [value for _, values in conditions for value in values]
