"""The live store's writer on Redis: CPU-seconds per million messages, beside the bare driver with the same batches.

Run: `python -m benchmarks.redis_live --url redis://HOST:PORT/0 [--messages N] [--devices N …] [--batch N] [--runs N]`.
The messages of `benchmarks.live`. *bare* is one pipeline a batch with an HSET a message, of its values and its time:
what a writer costs that leaves everything to the driver, compares nothing, keeps no ledger. Its keys are removed then.
"""

import argparse
import asyncio
import gc
import sys
from collections.abc import Sequence
from uuid import uuid4

from benchmarks.live import BUDGET, made
from benchmarks.measure import Result, cheapest, measure, report
from headwater.config_stack import Redis
from headwater.message import Message
from storage.contract import Record
from storage.redis_connection import Command, RedisConnection, connected
from storage.redis_store import open_redis_live


async def ours(config: Redis, devices: int, batches: Sequence[Sequence[Record]]) -> Result:
    async with open_redis_live(config, "benchmark") as live:
        with measure(f"live on Redis, {devices:,} devices", budget=BUDGET) as result:
            for batch in batches:
                await live.write(batch)
                result.count += len(batch)
    return result


async def bare(config: Redis, devices: int, batches: Sequence[Sequence[Record]]) -> Result:
    async with connected(config) as redis:
        with measure(f"bare redis-py, {devices:,} devices") as result:
            for batch in batches:
                await redis.run_all([_hset(config.prefix, record) for record in batch])
                result.count += len(batch)
    return result


def _hset(prefix: str, record: Record) -> Command:
    message = record.body
    assert isinstance(message, Message)
    words: list[str | int | float] = ["HSET", f"{{{prefix}}}:bare:{message.device}", "time", message.time]
    for name, value in message.fields.items():
        words += (name, value)
    for name, text in message.texts.items():
        words += (name, text)
    return tuple(words)


async def removed(redis: RedisConnection, prefix: str) -> None:
    keys = await redis.run("KEYS", f"{{{prefix}}}:*")
    for start in range(0, len(keys), 1000):
        await redis.run("DEL", *keys[start : start + 1000])


async def compared(config: Redis, devices: int, batches: Sequence[Sequence[Record]]) -> tuple[Result, Result]:
    try:
        return await ours(config, devices, batches), await bare(config, devices, batches)
    finally:
        async with connected(config) as redis:
            await removed(redis, config.prefix)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=Redis().url)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--devices", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    results: list[Result] = []
    for devices in options.devices:
        config = Redis(url=options.url, prefix=f"benchmark-{uuid4().hex}", time=30)
        batches = made(options.messages, devices, options.batch)
        gc.collect()
        gc.freeze()  # this and the threshold as the program has them
        gc.set_threshold(50_000, 20, 50)
        live, plain = cheapest([asyncio.run(compared(config, devices, batches)) for _ in range(options.runs)])
        live.beside(plain)
        results += (live, plain)
    kept = report(results, f"batches of {options.batch}, 3 values a message; ratio: bare / live")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
