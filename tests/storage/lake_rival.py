"""A process that writes to a lake, to be raced or killed: `python -m tests.storage.lake_rival FOLDER RECORDS BATCH [SEED]`.

It writes the records of a file that `save` made, each batch beginning a little before the end of the last; with a seed,
batches have any sizes. Closed days are merged in the end if MERGE is set. Says `done` when it has. Imports nothing that
only tests need, to start fast.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headwater.config import Lake
from headwater.errors import Stale, Unavailable
from headwater.log import CANDIDATES, MESSAGES
from headwater.message import Body, decode_candidate, decode_message, decode_rejected, encode
from storage.contract import Record
from storage.delta_lake import open_lake
from storage.lake_maintenance import Maintainer

CONFIG = Lake(closed_after=0)
_LATER = 3 * 86_400_000_000
_Line = tuple[str, int, int, int, msgspec.Raw]


def save(path: Path, records: Sequence[Record]) -> Path:
    lines = [(*record[:4], msgspec.Raw(encode(record.body))) for record in records]
    path.write_bytes(msgspec.json.encode(lines))
    return path


def load(path: Path) -> list[Record]:
    lines = msgspec.json.decode(path.read_bytes(), type=list[_Line])
    return [
        Record(topic, partition, offset, position, _body(topic, raw))
        for topic, partition, offset, position, raw in lines
    ]


def _body(topic: str, raw: msgspec.Raw) -> Body:
    if topic == MESSAGES:
        return decode_message(raw)
    return decode_candidate(raw) if topic == CANDIDATES else decode_rejected(raw)


async def write(root: Path, written: Sequence[Record], batch: int, seed: str) -> None:
    chance = random.Random(seed)
    async with open_lake(root, "log-1", CONFIG) as lake:
        start = 0
        while start < len(written):
            size = chance.randint(1, batch) if seed else batch
            try:
                await lake.write(written[max(0, start - batch // 3) : start + size])
            except Unavailable:
                await asyncio.sleep(0.01)
                continue
            except Stale:
                return
            start += size
        if "MERGE" in os.environ:
            await Maintainer(lake, CONFIG).once(time.time_ns() // 1000 + _LATER)


if __name__ == "__main__":
    folder, file, batch, *seed = sys.argv[1:]
    asyncio.run(write(Path(folder), load(Path(file)), int(batch), "".join(seed)))
    print("done", flush=True)
