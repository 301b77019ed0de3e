"""Reports against the log: the rows of the last day, and count and sum of every rollup.

In: the round, a reader, and the `Finding` to fill. Out: nothing else.
"""

from headwater.log import MESSAGES
from headwater.times import SECOND
from query.audit_findings import Finding
from query.audit_log import first_ones, since
from query.audit_rollups import Suspects, add_later, take_away
from query.audit_round import Round
from storage.contract import ReportReader
from storage.report_rollups import HOUR, Kept


async def compare_rows(of: Round, reports: ReportReader, finding: Finding) -> None:
    """A row a message, as far back as rows are kept."""
    marks = of.messages.marks()
    async for batch in reports.ids():
        finding.compared += len(batch)
        for device, id in batch:  # noqa: A001
            first = marks.mark((device, id))
            if first is None:
                text = f"row of message {id} of device {device} in the reports; it is nowhere else"
                of.doubts.of_message((device, id), finding, text)
            elif not first:
                finding.exceeds(f"second row of message {id} of device {device} in the reports")
    now = of.now()
    low, high = Kept(now, of.limits.rows).since + SECOND, now + HOUR
    lacking = (where for where in marks.unmarked() if low <= of.messages.received(where) <= high)
    await of.messages.lacks(lacking, "in the rows of the reports", finding)


async def compare_rollups(of: Round, reports: ReportReader, finding: Finding) -> None:
    """Every rollup of which the log still holds all messages. Those that differ are then read again, and told."""
    prints, ends = of.messages.prints, of.messages.ends
    pages = await take_away(reports, prints, finding)
    if any(page.reaches(ends) for of_period in pages.values() for page in of_period):
        async for message, where in first_ones(of.log, await since(of.log, MESSAGES, ends), of.messages):
            add_later(prints, pages, message, *where)
    suspects = Suspects(prints)
    if not suspects:
        return
    await suspects.ask(reports)
    now = await of.log.ends(MESSAGES)
    async for message, where in first_ones(of.log, {one: now[one]._replace(first=ends[one].first) for one in ends}):
        suspects.add(message, *where)
    suspects.tell(finding)
