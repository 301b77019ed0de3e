"""The Kafka profile, all of it: starts the servers of the tests as they are needed, runs each benchmark, makes a table.

In: the servers that `tests.services` can bring to this machine. Out: each benchmark's own words, then the table as it
stands in `docs/benchmarks.md`, with the load of the machine before each. One that fails is named, and the others run.

    python -m benchmarks.stack [--only NAME …] [--quick] [--table FILE]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.measure import ROWS, Row, machine
from tests.services.plugin import FIXTURES, Services
from tests.services.server import START_TIME, Missing, Server

MOST_SECONDS = 600.0
"""For one benchmark."""
_HEAD = """\
| work | command | units/s | CPU-s per million | budget | ratio | p50 / p99 ms | peak MB |
|---|---|---|---|---|---|---|---|"""

Servers = Mapping[str, Server]
Options = Callable[[Servers], Sequence[str]]


class Started(Mapping[str, Server]):
    """The servers by name, each started when first asked for: what runs takes from what is measured."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __getitem__(self, name: str) -> Server:
        return self._services.begin(name).result(START_TIME + 10)

    def __iter__(self) -> Iterator[str]:
        return iter(FIXTURES.values())

    def __len__(self) -> int:
        return len(FIXTURES)


class Benchmark(NamedTuple):
    """A module and what it is given: as it is told in the table, where the servers are, and what makes it `quick`."""

    module: str
    told: str
    where: Options
    settings: Callable[[Servers], Mapping[str, str]] | None = None
    quick: str = ""


def _at(server: Server) -> str:
    return f"{server.host}:{server.port}"


def _kafka(servers: Servers) -> Sequence[str]:
    return "--kafka", _at(servers["kafka"])


def _s3(servers: Servers) -> Mapping[str, str]:
    minio = servers["minio"]
    return {
        "HEADWATER_S3__ENDPOINT": f"http://{_at(minio)}",
        "HEADWATER_S3__ACCESS_KEY": minio.access_key,
        "HEADWATER_S3__SECRET_KEY": minio.secret_key,
    }


def _redis(servers: Servers) -> Sequence[str]:
    return "--url", f"redis://{_at(servers['redis'])}/0"


def _mongo(servers: Servers) -> Sequence[str]:
    return "--mongo", _at(servers["mongo"])


def _elastic(servers: Servers) -> Sequence[str]:
    return "--url", f"http://{_at(servers['elasticsearch'])}"


def _mariadb(servers: Servers) -> Sequence[str]:
    return "--port", str(servers["mariadb"].port)


def _nowhere(_: Servers) -> Sequence[str]:
    return ()


BENCHMARKS = {
    "ingest": Benchmark("gateway", "", _kafka),
    "front": Benchmark("front", "", _kafka, quick="--quick"),
    "log": Benchmark("kafka_log", "--entries 200000", _kafka),
    "selector": Benchmark("selector", "--messages 200000", _kafka),
    "scaling": Benchmark("scaling", "", _kafka),
    "live": Benchmark("redis_live", "--messages 100000", _redis),
    "documents": Benchmark("documents", "--candidates 6000 --runs 3", _mongo),
    "search": Benchmark("search", "--candidates 40000", _elastic),
    "reports": Benchmark("reports", "--messages 100000 --runs 3", _mariadb),
    "lake": Benchmark("s3_lake", "--messages 500000", _nowhere, _s3),
}


def run(benchmark: Benchmark, servers: Servers, rows: Path, *, quick: bool = False) -> tuple[str, list[Row]]:
    """Its command as it is told, and its rows; none, if it failed."""
    rows.unlink(missing_ok=True)
    given = [*benchmark.told.split(), *benchmark.quick.split() * quick]
    told = " ".join(["python -m", f"benchmarks.{benchmark.module}", *given])
    print(f"== {told}\n# {machine()}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{benchmark.module}", *given]
    settings = {} if benchmark.settings is None else benchmark.settings(servers)
    environment = {**os.environ, **settings, ROWS: str(rows)}
    try:
        subprocess.run([*command, *benchmark.where(servers)], env=environment, timeout=MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"# not ended within {MOST_SECONDS:g} s", flush=True)
    print(flush=True)
    return told, [
        msgspec.json.decode(line, type=Row) for line in rows.read_bytes().splitlines()
    ] if rows.exists() else []


def line(row: Row, command: str) -> str:
    """A result as a row of the table."""
    budget = "" if row.budget is None else f"≤ {row.budget:g}" + " **over**" * (row.per_million > row.budget)
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    if row.ratio is not None and row.wanted is not None:
        ratio += f" (≥ {row.wanted:g})" + " **under**" * (row.ratio < row.wanted)
    latency = f"{_shown(row.p50 * 1e3)} / {_shown(row.p99 * 1e3)}" if row.p50 else ""
    done = f"{row.per_second:,.0f} | {row.per_million:,.1f}" if row.count else " | "
    return f"| {row.name.strip()} | {command} | {done} | {budget} | {ratio} | {latency} | {row.peak / 1e6:,.0f} |"


def _shown(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.2g}"


def main(options: argparse.Namespace) -> int:
    began, services, failed = time.monotonic(), Services(), list[str]()
    lines = [_HEAD]
    try:
        servers = Started(services)
        with tempfile.TemporaryDirectory() as folder:
            for name in options.only or BENCHMARKS:
                command, rows = run(BENCHMARKS[name], servers, Path(folder) / "rows", quick=options.quick)
                lines += [line(row, "" if at else f"`{command}`, load {row.load:.0f}") for at, row in enumerate(rows)]
                failed += [] if rows else [name]
                if options.table:
                    options.table.write_text("\n".join([*lines, ""]), "utf-8")
    except Missing as missing:
        raise SystemExit(str(missing)) from None
    finally:
        services.close()
    print(f"# {machine()}; {(time.monotonic() - began) / 60:.1f} minutes", *lines, sep="\n")
    if failed:
        print(f"# without a result: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(BENCHMARKS), nargs="+")
    parser.add_argument("--table", type=Path, help="write the table to this file, too")
    parser.add_argument("--quick", action="store_true", help="less of those that take long (front)")
    sys.exit(main(parser.parse_args()))
