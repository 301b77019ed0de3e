"""The selector, topic to topic with checkpoints, and its stage alone: CPU-seconds per million.

Run: `python -m benchmarks.selector [--messages N] [--devices N] [--folder DIR] [--kafka HOST:PORT]`, on the SQLite log
unless a broker is given; checkpoints are in a SQLite file either way. Messages of three fields from devices
that send once a second by turns; about one in ten is selected. *one deadband*: one rule on one field. *five rules*:
deadbands on two fields, a heartbeat of a field and of the model, movement, and silence. The log is filled beforehand;
measured is the way from there to durable candidates and the last checkpoint, all threads counted.
"""

import argparse
import asyncio
import gc
import random
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import uvloop

from benchmarks.kafka_topics import own_topics
from benchmarks.measure import Result, measure, report
from consumers.rules import rules_of
from consumers.selection import Selection
from consumers.selector import Selector
from headwater.config import Selection as Settings
from headwater.config import Workers
from headwater.config_models import FieldModel, Model, Select
from headwater.log import CANDIDATES, MESSAGES, REJECTED, Entry, Log, NewEntry, TopicSpec, partition_for
from headwater.message import Message, Position, Rules, encode
from headwater.metrics import Metrics
from storage.kafka_log import open_kafka_log
from storage.sqlite_checkpoints import open_checkpoints
from storage.sqlite_log import open_log

PARTITIONS = 4
_START = 1_763_700_000_000_000
_BATCH = 1_000

ONE = Model(fields={"temperature": FieldModel(change=0.5)})
FIVE = Model(
    select=Select(every=900, movement=25, silence=3600),
    fields={"temperature": FieldModel(change=0.5), "humidity": FieldModel(change="5%", every=300)},
)


def made(messages: int, devices: int, *, positions: bool) -> list[NewEntry]:
    """Readings that wander, as on the log: `devices` in turn, a round a second."""
    draw = random.Random(7)
    names = [f"device-{number}" for number in range(devices)]
    temperatures = [20.0] * devices
    entries: list[NewEntry] = []
    for number in range(messages):
        device = number % devices
        temperatures[device] += draw.gauss(0, 0.17)
        time = _START + number * 1_000_000 // devices
        message = Message(
            device=names[device],
            id=f"{draw.getrandbits(64):016x}",
            received=time,
            time=time,
            at=time,
            fields={
                "temperature": round(temperatures[device], 2),
                "humidity": 50.5,
                "voltage": draw.randrange(647, 652),
            },
            position=Position(52.5 + device / 1e4, 13.4) if positions else None,
        )
        key = names[device].encode()
        entries.append(NewEntry(partition_for(key, PARTITIONS), key, encode(message)))
    return entries


def control(model: Model) -> bytes:
    return encode(Rules(1, msgspec.Raw(rules_of({"default": model}))))


def stage(name: str, model: Model, entries: Sequence[NewEntry]) -> Result:
    """The stage alone, on entries in memory."""
    log = [Entry(MESSAGES, 0, offset, _START, key, value) for offset, (_, key, value) in enumerate(entries, 1)]
    selection = Selection(0)
    selection.apply([Entry(MESSAGES, 0, 0, _START, b"", control(model))])
    selected = 0
    with measure(f"the stage alone, {name}", count=len(log)) as result:
        for start in range(0, len(log), _BATCH):
            selected += len(selection.apply(log[start : start + _BATCH]))
    print(
        f"# {name}: {selected / len(log):.1%} selected, state of {len(selection.state()) / 1e6:.1f} MB", file=sys.stderr
    )
    return result


async def fill(log: Log, model: Model, entries: Sequence[NewEntry]) -> None:
    await log.append(MESSAGES, [NewEntry(partition, b"", control(model)) for partition in range(PARTITIONS)])
    for start in range(0, len(entries), _BATCH):
        await log.append(MESSAGES, entries[start : start + _BATCH])


@asynccontextmanager
async def a_log(kafka: str, folder: Path) -> AsyncGenerator[Log]:
    """An empty one."""
    topics = [TopicSpec(topic, PARTITIONS) for topic in (MESSAGES, CANDIDATES, REJECTED)]
    if not kafka:
        async with open_log(folder / "log.sqlite", topics) as log:
            yield log
        return
    async with own_topics(kafka) as config, open_kafka_log(config, topics) as log:
        yield log


async def topic_to_topic(
    kafka: str, folder: Path, name: str, model: Model, entries: Sequence[NewEntry], budget: float
) -> Result:
    """From the log to the log, with checkpoints as configured by default."""
    async with a_log(kafka, folder) as log, open_checkpoints(folder / "checkpoints.sqlite") as checkpoints:
        await fill(log, model, entries)
        metrics = Metrics()
        selector = Selector(log, checkpoints, Settings(clock=3600), Workers(), metrics)
        stop = asyncio.Event()
        with measure(f"selector, topic to topic, {name}", count=len(entries), budget=budget) as result:
            running = asyncio.create_task(selector.run(stop))
            while metrics.sample("selector_taken_total") < len(entries):  # noqa: ASYNC110 it tells nobody when
                await asyncio.sleep(0.05)
            stop.set()
            await running
        emitted = sum(ends.next for ends in (await log.ends(CANDIDATES)).values())
        saved = metrics.sample("checkpoints_total")
    print(f"# {name}: {emitted / len(entries):.1%} emitted, {saved:.0f} checkpoints", file=sys.stderr)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the files are made (default: a temporary one)")
    parser.add_argument("--kafka", default="", help="HOST:PORT of a broker")
    options = parser.parse_args()
    results: list[Result] = []
    for name, model, budget in (("one deadband", ONE, 4.0), ("five rules", FIVE, 8.0)):
        entries = made(options.messages, options.devices, positions=model is FIVE)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            gc.collect()
            gc.freeze()  # this and the threshold as the program has them
            gc.set_threshold(50_000, 20, 50)
            results.append(uvloop.run(topic_to_topic(options.kafka, Path(folder), name, model, entries, budget)))
        results.append(stage(name, model, entries))
    size = len(made(1, 1, positions=False)[0].value or b"")
    kept = report(results, f"{options.devices} devices, {PARTITIONS} partitions, messages of {size} bytes on the log")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
