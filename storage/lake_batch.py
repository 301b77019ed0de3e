"""A batch on its way into a table: which of its records are new to the table, and the rows they make.

In: records of one topic, a ledger. Out: the new ones, the ledger after them, the rows by day; and the records that
have no place in the table's columns, each with why.
"""

from collections.abc import Mapping, Sequence

from storage.arrow import Rows, pa
from storage.contract import Record
from storage.lake_rows import day_tables, readings_of
from storage.lake_schema import READINGS, Table

_NO_PLACE = (pa.ArrowException, ArithmeticError, TypeError, ValueError)


class Batch:
    """Records of one topic, with their index in what the worker gave."""

    def __init__(self, topic: str, records: Sequence[Record], indices: Sequence[int]) -> None:
        self.topic = topic
        self._records = records
        self._indices = indices
        # The tables of a topic mostly stand at the same ledger and take the same rows: the last answers are kept.
        self._new: tuple[Mapping[int, int], list[Record], dict[int, int]] | None = None
        self._days: tuple[list[Record], dict[str, Rows]] = ([], {})
        self.refused: dict[int, str] = {}

    def new_to(self, ledger: Mapping[int, int]) -> tuple[list[Record], dict[int, int]]:
        """The records above the ledger, each position once; and the ledger with them."""
        if self._new is None or self._new[0] != ledger:
            after = dict(ledger)
            found: list[Record] = []
            for record in self._records:
                _, partition, _, position, _ = record
                if position > after.get(partition, -1):
                    after[partition] = position
                    found.append(record)
            self._new = (ledger, found, after)
        return self._new[1], self._new[2]

    def rows(self, table: Table, records: list[Record]) -> dict[str, Rows]:
        """Day → rows."""
        if self._days[0] is not records and self._days[0] != records:
            self._days = (records, self._made(records))
        days = self._days[1]
        if table.name == READINGS:
            readings = ((day, readings_of(rows)) for day, rows in days.items())
            return {day: rows for day, rows in readings if rows.num_rows}
        return days

    def _made(self, records: list[Record]) -> dict[str, Rows]:
        try:
            return day_tables(self.topic, records)
        except _NO_PLACE:
            fit = [record for record in records if self._fits(record)]
            return day_tables(self.topic, fit) if fit else {}

    def _fits(self, record: Record) -> bool:
        try:
            day_tables(self.topic, [record])
        except _NO_PLACE as error:
            where = next(index for index, own in zip(self._indices, self._records, strict=True) if own is record)
            self.refused[where] = str(error)
            return False
        return True
