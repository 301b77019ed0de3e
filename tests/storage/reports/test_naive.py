"""Reports: both stores answer as a naive computation does, however batches are cut."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.mysql_store import open_mysql_reports
from storage.sqlite_reports import open_sqlite_reports
from tests.services.server import Server
from tests.storage.factory import DAY, T, cut, messages, records
from tests.storage.reports.kit import EVERYTHING, LENGTHS, Clock, a_database, ids, naive, once, rollups, rows, said_by


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
async def test_both_answer_as_a_naive_computation_however_batches_are_cut(
    mariadb_server: Server, data: st.DataObject
) -> None:
    said = data.draw(st.lists(messages(st.sampled_from(["p", "P", "q"])), max_size=12))
    said += data.draw(st.lists(st.sampled_from(said), max_size=4)) if said else []
    for one in said:
        one.received = min(max(one.received, T - DAY), T + DAY)
    written = records(said)
    with TemporaryDirectory() as folder:
        sqlite = open_sqlite_reports(Path(folder) / "r.sqlite", "log-1", rows=EVERYTHING, now=Clock())
        mysql = open_mysql_reports(a_database(mariadb_server.port, time=10), "log-1", rows=EVERYTHING, now=Clock())
        async with sqlite as one, mysql as other:
            for store in (one, other):
                for batch in data.draw(cut(written)):
                    await store.write(batch)
            for period in LENGTHS:
                expected = naive(once(said), period)
                assert said_by(await rollups(one, period)) == expected
                assert said_by(await rollups(other, period)) == expected
                assert [str(r.sum) for r in await rollups(one)] == [str(r.sum) for r in await rollups(other)]
            kept = sorted(once(said), key=lambda m: (m.time, m.received, m.id, m.device))
            assert await rows(one) == kept
            assert await rows(other) == kept
            assert await ids(one) == await ids(other) == sorted((m.device, m.id) for m in kept)
