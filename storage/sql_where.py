"""A WHERE clause put together from what was asked for; the same for SQLite and MariaDB, which mark values differently.

In: columns, which are ours, and values, which never stand in the text. Out: the clause, and the values in its order.
"""

from storage.contract import Span


class Where:
    """`mark` stands for a value: `?` or `%s`."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._conditions: list[str] = []
        self.values: list[object] = []

    def span(self, column: str, span: Span) -> None:
        """The column lies within the span."""
        for sign, bound in ((">=", span.start), ("<", span.end)):
            if bound is not None:
                self._conditions.append(f"{column} {sign} {self._mark}")
                self.values.append(bound)

    def equal(self, column: str, value: str | None) -> None:
        """The column has this value, if one is given."""
        if value is not None:
            self._conditions.append(f"{column} = {self._mark}")
            self.values.append(value)

    def above(self, column: str, value: int) -> None:
        """The column is greater."""
        self._conditions.append(f"{column} > {self._mark}")
        self.values.append(value)

    def after(self, columns: str, values: tuple[object, ...] | None) -> None:
        """The columns, as a row, come behind these values, if there are any."""
        if values is not None:
            self._conditions.append(f"({columns}) > ({', '.join([self._mark] * len(values))})")
            self.values += values

    def __str__(self) -> str:
        return "WHERE " + " AND ".join(self._conditions or ["TRUE"])
