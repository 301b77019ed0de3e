"""What is asked of the tables of reports; the same for SQLite and MariaDB, which mark values differently.

In: what to look for. Out: a query, and the values in its order. The caller adds the limit.
"""

from storage.contract import Period, Span
from storage.sql_where import Where

Query = tuple[str, list[object]]


def of_rollups(
    mark: str,
    sums: str,
    period: Period,
    device: str | None,
    field: str | None,
    span: Span,
    after: tuple[int, str, str] | None,
) -> Query:
    """`mark` stands for a value, `sums` are the columns that the sum is in."""
    where = Where(mark)
    where.span("start", span)
    where.equal("device", device)
    where.equal("field", field)
    where.after("start, device, field", after)
    columns = f"start, device, field, n, {sums}, low, high, newest"
    order = f"ORDER BY start, device, field LIMIT {mark}"
    return f"SELECT {columns} FROM report_{period} {where} {order}", where.values  # noqa: S608 - of words that are ours


def of_rows(
    mark: str, device: str | None, span: Span, since: int | None, after: tuple[int, int, str, str] | None
) -> Query:
    """`since`: what was received before is over. Rows without a body are names, for who writes."""
    where = Where(mark)
    where.span("time", span)
    where.span("received", Span(since))
    where.above("length(body)", 0)
    where.equal("device", device)
    where.after("time, received, id, device", after)
    query = f"SELECT body FROM report_row {where} ORDER BY time, received, id, device LIMIT {mark}"  # noqa: S608
    return query, where.values
