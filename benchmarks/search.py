"""The search stores' writers: CPU-seconds per million candidates, beside the bare client's bulk of the same documents.

Run: `python -m benchmarks.search [--url http://127.0.0.1:9200] [--candidates N] [--batch N] [--runs N]`, without a URL
in SQLite. *bare* sends
the documents that ours would send, made beforehand, in bulks of the same batches with the client's own `bulk`: what a
writer costs that has nothing to make, and no ledger. *made and sent* makes them too. The ratio is that one's CPU
over ours.
"""

import argparse
import asyncio
import gc
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from elasticsearch import AsyncElasticsearch

from benchmarks.measure import Result, cheapest, measure, report
from headwater.config_stack import Elasticsearch
from headwater.log import CANDIDATES
from headwater.message import Candidate, Message, Origin, Position, encode
from storage.contract import ORIGIN_BITS, Record
from storage.elastic_schema import MAPPING, document
from storage.elastic_store import open_elastic_search
from storage.search_batch import Kept
from storage.sqlite_search import open_sqlite_search

_START = 1_763_700_000_000_000
_NOW = _START + 3_600_000_000


def made(count: int, size: int) -> list[list[Record]]:
    """Batches of `size` candidates of three fields, one of them a text, with a position."""
    batches: list[list[Record]] = []
    for start in range(0, count, size):
        batch: list[Record] = []
        for at in range(start, min(start + size, count)):
            time = _START + at * 1000
            message = Message(
                device=f"device-{at % 1000}",
                id=f"{at:016x}",
                received=time,
                time=time,
                fields={"temperature": at % 400 / 10, "voltage": at % 700},
                texts={"state": "on"},
                position=Position(lat=at % 90, lon=at % 180),
            )
            one = Candidate(
                f"{at:016x}", message.device, time, "change", 1, ["temperature changed"], Origin(0, at, 0), message
            )
            batch.append(Record(CANDIDATES, 0, at, at << ORIGIN_BITS, one))
        batches.append(batch)
    return batches


def _operations(batch: Sequence[Record], index: str) -> list[Any]:
    operations: list[Any] = []  # the client takes finished lines too; its types do not say so
    for record in batch:
        one = record.body
        assert isinstance(one, Candidate)
        action = b'{"index":{"_index":"%b","_id":"%b"}}' % (index.encode(), one.id.encode())
        operations += (action, document(Kept(0, one, encode(one))))
    return operations


async def bare(url: str, batches: Sequence[Sequence[Record]], *, making: bool) -> Result:
    """The client alone, into an index with the same mapping."""
    index = f"bench-{uuid4().hex[:8]}"
    ready = None if making else [_operations(batch, index) for batch in batches]
    async with AsyncElasticsearch(url, request_timeout=60) as client:
        await client.indices.create(index=index, mappings=MAPPING, settings={"number_of_replicas": 0})
        name = "bare client, made and sent" if making else "bare client, only sent"
        with measure(name, count=sum(map(len, batches))) as result:
            for number, batch in enumerate(batches):
                operations = _operations(batch, index) if ready is None else ready[number]
                answer = await client.bulk(operations=operations)
                assert not answer["errors"]
        await client.indices.delete(index=index)
    return result


async def ours(url: str, batches: Sequence[Sequence[Record]]) -> Result:
    prefix = f"bench-{uuid4().hex[:8]}"
    config = Elasticsearch(urls=(url,), prefix=prefix)
    async with open_elastic_search(config, "benchmark", retention=86_400, now=lambda: _NOW) as store:
        with measure("search on Elasticsearch", count=sum(map(len, batches))) as result:
            for batch in batches:
                await store.write(batch)
    async with AsyncElasticsearch(url) as client:
        await client.indices.delete(index=f"{prefix}-ledger")
        for index in await client.indices.get(index=f"{prefix}-candidates-*"):
            await client.indices.delete(index=index)
        await client.indices.delete_index_template(name=f"{prefix}-candidates")
    return result


async def file(batches: Sequence[Sequence[Record]]) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "search.sqlite"
        async with open_sqlite_search(path, "benchmark", retention=86_400, now=lambda: _NOW) as store:
            with measure("search in SQLite", count=sum(map(len, batches))) as result:
                for batch in batches:
                    await store.write(batch)
        print(f"SQLite: {path.stat().st_size / result.count:.0f} bytes a candidate")
    return result


async def run(url: str, batches: Sequence[Sequence[Record]]) -> list[Result]:
    if not url:
        return [await file(batches)]
    return [await ours(url, batches), await bare(url, batches, making=True), await bare(url, batches, making=False)]


async def main(options: argparse.Namespace) -> bool:
    batches = made(options.candidates, options.batch)
    gc.collect()
    gc.freeze()  # this and the threshold as the program has them
    gc.set_threshold(50_000, 20, 50)
    if options.url:
        await bare(options.url, batches[:5], making=False)  # the server compiles itself
    results = cheapest([await run(options.url, batches) for _ in range(options.runs)])
    if options.url:
        results[0].beside(results[1])
    return report(results, f"batches of {options.batch}; ratio: made and sent / ours")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="")
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=3)
    sys.exit(0 if asyncio.run(main(parser.parse_args())) else 1)
