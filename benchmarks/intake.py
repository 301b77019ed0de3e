"""The intake: CPU-seconds for a million messages of about 130 bytes, from payload bytes to "may be acknowledged".

In: payloads of 1,000 devices, thousands in flight, through `LogIntake.accept`: one a receipt (as MQTT does) or 100 a
receipt (as NDJSON does). Out: a line for each form, with a log that does nothing and with the SQLite log. The figures
hold what the intake does and the loop that feeds it; with the SQLite log also all of the log's own threads.

    python -m benchmarks.intake [--messages N] [--profile]
"""

import argparse
import asyncio
import cProfile
import pstats
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from benchmarks.measure import Result, measure, report
from headwater.config import Config
from headwater.config_models import FieldModel, Model
from headwater.errors import LogError
from headwater.log import MESSAGES, REJECTED, NewEntry, TopicSpec
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS
from headwater.times import now
from ingest.contract import Receipt, Source
from ingest.intake import LogIntake
from ingest.lanes import AppendLog
from storage.sqlite_log import open_log

DEVICES = 1000
IN_FLIGHT = 4000
RANGES = {
    name: FieldModel(min=-1000, max=1000, unit=unit)
    for name, unit in (("temperature", "°C"), ("voltage", "V"), ("pressure", "kPa"))
}


class NullLog:
    """Takes everything at once and keeps nothing: what is measured is what stands before the log."""

    def __init__(self) -> None:
        self._next = 0

    def partitions(self, topic: str) -> int:  # noqa: ARG002
        return 4

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[int | LogError]:  # noqa: ARG002
        await asyncio.sleep(0)
        self._next += len(entries)
        return range(self._next - len(entries), self._next)


class Sender:
    """An owner of receipts that counts what is settled."""

    def __init__(self) -> None:
        self.releases = 0

    def release(self) -> None:
        self.releases += 1


def native(count: int) -> list[bytes]:
    """The native form, the device in the payload, its clock and a sequence number given."""
    at = now() // 1000
    return [
        b'{"device":"pump-%d","at":%d,"seq":%d,"fields":{"temperature":%d.5,"voltage":%d.25,"pressure":%d.75,"load":%d}}'
        % (n % DEVICES, at, n, n % 90, n % 240, n % 110, n % 7)
        for n in range(count)
    ]


def flat(count: int) -> list[bytes]:
    """The flat form of the first example anyone sends."""
    return [
        b'{"client_id":1,"device_id":%d,"voltage":%d,"temperature":%d.5,"sequence":%d,"humidity":%d.5,"pressure":%d.75,'
        b'"current":%d.125}' % (n % DEVICES, n % 240, n % 90, n, n % 100, n % 110, n % 12)
        for n in range(count)
    ]


@asynccontextmanager
async def sqlite_log() -> AsyncGenerator[AppendLog]:
    """The real one, on the disk where temporary files are."""
    with tempfile.TemporaryDirectory() as folder:
        topics = [TopicSpec(MESSAGES, 4), TopicSpec(REJECTED, 4)]
        async with open_log(Path(folder) / "log.sqlite", topics) as log:
            yield log


async def run(name: str, log: AppendLog, payloads: Sequence[bytes], *, each: int, model: Model) -> Result:
    """All payloads through one intake, `each` to a receipt, at most `IN_FLIGHT` waiting."""
    config = Config(models={"default": model})
    source, sender = Source("mqtt", "", "", "native", peer="127.0.0.1:50000"), Sender()
    async with LogIntake(log, config, Metrics(), lambda _device: "") as intake:
        receipts = [Receipt(sender) for _ in range(0, len(payloads), each)]
        with measure(name, count=len(payloads)) as result:
            for start in range(0, len(payloads), IN_FLIGHT):
                for at in range(start, min(start + IN_FLIGHT, len(payloads)), each):
                    intake.accept(ANONYMOUS, source, payloads[at : at + each], receipts[at // each])
                await intake.drain(60)
        if not all(receipt.accepted == each and not receipt.waiting and not receipt.failed for receipt in receipts):
            raise SystemExit(f"{name}: not everything was accepted")
    return result


async def main(messages: int) -> bool:
    plain, ranged = Model(), Model(fields=RANGES)
    results: list[Result] = []
    forms = (
        ("native, one a receipt", native, 1, plain),
        ("native, model of three ranges", native, 1, ranged),
        ("native, 100 a receipt", native, 100, plain),
        ("flat, one a receipt", flat, 1, plain),
    )
    for name, form, each, model in forms:
        payloads = form(messages)
        results.append(await run(f"{name}, null log", NullLog(), payloads, each=each, model=model))
    async with sqlite_log() as log:
        for name, form, each, model in forms:
            results.append(await run(f"{name}, SQLite", log, form(messages), each=each, model=model))
    return report(results, f"{messages:,} messages of {len(native(messages)[-1])} and {len(flat(messages)[-1])} bytes")


def profiled(messages: int) -> None:
    """Where the time goes, by function. The profiler itself adds much to short functions."""
    payloads = native(messages)
    profile = cProfile.Profile()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        profile.enable()
        runner.run(run("profile", NullLog(), payloads, each=1, model=Model()))
        profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(18)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    if options.profile:
        profiled(options.messages)
        sys.exit(0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(0 if runner.run(main(options.messages)) else 1)
