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
        self._latest: tuple[list[Record], dict[str, Rows]] = ([], {})
        self.refused: dict[int, str] = {}

    def new_to(self, ledger: Mapping[int, int]) -> tuple[list[Record], dict[int, int]]:
        """The records above the ledger, each position once; and the ledger with them."""
        after = dict(ledger)
        found: list[Record] = []
        for record in self._records:
            if record.position > after.get(record.partition, -1):
                after[record.partition] = record.position
                found.append(record)
        return found, after

    def rows(self, table: Table, records: list[Record]) -> dict[str, Rows]:
        """Day → rows. The tables of a topic mostly take the same records: the last result is kept."""
        if self._latest[0] != records:
            self._latest = (records, self._made(records))
        days = self._latest[1]
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
