"""Measuring, once for all benchmarks: CPU seconds, wall seconds, peak memory, percentiles, against a budget.

In: a block of work, in this process or in one named by its pid. Out: a `Result`, and a table with one line a result.
CPU time counts every thread, so it stands still while other programs use the cores; wall-clock figures do not. A busy
machine makes CPU time dearer, too (caches and cores are shared): `cheapest` of some runs is what the work takes.
With BENCHMARK_ROWS=FILE each result is also added to that file, for `benchmarks.stack` to make one table of.
"""

import os
import platform
import resource
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

OF_THE_BARE = 0.8
"""What every writer should reach of the bare driver."""
ROWS = "BENCHMARK_ROWS"
_TICKS = os.sysconf("SC_CLK_TCK")


class Row(msgspec.Struct):
    """A result as it is kept for a table of several benchmarks; times in seconds, `peak` in bytes.

    `load`: the machine's, over the last minute when the benchmark ended.
    """

    name: str
    count: int
    per_second: float
    per_million: float
    budget: float | None
    ratio: float | None
    wanted: float | None
    p50: float
    p99: float
    peak: int
    load: float


@dataclass
class Result:
    """What a block of work took. Set `count` (units done) within the block, and append to `latencies` (seconds).

    `budget`: the most CPU-seconds a million units that are allowed. `peak`: the largest resident memory, in bytes.
    `ratio`: how it compares with what it was measured beside, and `wanted`: the least that this may be.
    """

    name: str
    count: int = 0
    budget: float | None = None
    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    latencies: list[float] = field(default_factory=list[float])
    ratio: float | None = None
    wanted: float | None = None

    def beside(self, bare: "Result") -> None:
        """Compare the CPU time with that of the bare driver for the same work."""
        self.ratio, self.wanted = bare.per_million / self.per_million, OF_THE_BARE

    @property
    def per_second(self) -> float:
        """Units a second by the wall clock."""
        return self.count / self.wall if self.wall else 0.0

    @property
    def per_million(self) -> float:
        """CPU-seconds a million units."""
        return self.cpu / self.count * 1e6 if self.count else 0.0

    @property
    def kept(self) -> bool:
        """False if there is a budget and it was exceeded, or a ratio and it is lower than wanted."""
        return self.within and (self.ratio is None or self.wanted is None or self.ratio >= self.wanted)

    @property
    def within(self) -> bool:
        """False if there is a budget and it was exceeded."""
        return self.budget is None or self.per_million <= self.budget

    def percentile(self, share: float) -> float:
        """The latency (seconds) that `share` of the units stayed at or below; 0 if none was taken."""
        if not self.latencies:
            return 0.0
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def measure(
    name: str, *, count: int = 0, budget: float | None = None, pid: int | None = None, beside: Sequence[int] = ()
) -> Generator[Result]:
    """Measure the block. With `pid`, CPU and memory are those of that process (Linux), time is ours.

    `beside`: more processes, which share the work; theirs is added.
    """
    result, pids = Result(name, count, budget), (pid, *beside)
    for each in pids:
        _forget_peak(each)
    cpu, wall = sum(map(cpu_seconds, pids)), time.perf_counter()
    yield result
    result.wall = time.perf_counter() - wall
    result.cpu = sum(map(cpu_seconds, pids)) - cpu
    result.peak = sum(map(peak_memory, pids))


def cheapest(runs: Sequence[Sequence[Result]]) -> list[Result]:
    """Of runs of the same work in the same order, each result of the run in which it took the least CPU time."""
    return [min(same, key=lambda result: result.per_million) for same in zip(*runs, strict=True)]


def report(results: Sequence[Result], conditions: str = "") -> bool:
    """Print conditions and one line a result; True if every budget was kept."""
    _keep(results)
    print(f"# {machine()}" + (f"; {conditions}" if conditions else ""))
    width = max([len("measured"), *(len(result.name) for result in results)])
    print(
        f"{'measured':<{width}} {'count':>10} {'/second':>10} {'CPU-s/million':>13} {'budget':>8}"
        f" {'p50 ms':>8} {'p99 ms':>8} {'peak MB':>8}"
    )
    for result in results:
        print(_line(result, width))
        if result.ratio is not None:
            print(f"{'':<{width}} ratio {result.ratio:.2f}" + (f" (wanted: {result.wanted})" if result.wanted else ""))
    return all(result.kept for result in results)


def _keep(results: Sequence[Result]) -> None:
    if not (name := os.environ.get(ROWS)):
        return
    with Path(name).open("ab") as file:
        for one in results:
            work = (one.name, one.count, one.per_second, one.per_million, one.budget, one.ratio, one.wanted)
            row = Row(*work, one.percentile(0.5), one.percentile(0.99), one.peak, os.getloadavg()[0])
            file.write(msgspec.json.encode(row) + b"\n")


def _line(result: Result, width: int) -> str:
    budget = "-" if result.budget is None else f"{'≤' if result.within else 'OVER'} {result.budget:g}"
    p50, p99 = (f"{result.percentile(share) * 1000:.2f}" if result.latencies else "-" for share in (0.5, 0.99))
    work = f"{result.count:>10,} {result.per_second:>10,.0f} {result.per_million:>13.2f} {budget:>8}"
    return f"{result.name:<{width}} {work} {p50:>8} {p99:>8} {result.peak / 1e6:>8.0f}"


def machine() -> str:
    """The conditions in a line: cores, Python, system, and how busy it was."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}, load {load:.1f}"


def cpu_seconds(pid: int | None = None) -> float:
    """User and system time of all threads, of this process or another one."""
    if pid is None:
        return time.process_time()
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(pid: int) -> int:
    """Bytes of memory that a process has now (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_memory(pid: int | None = None) -> int:
    """The largest resident memory, in bytes; on Linux since the measured block began."""
    if pid is None and not sys.platform.startswith("linux"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for line in Path(f"/proc/{pid or 'self'}/status").read_text("ascii", "replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _forget_peak(pid: int | None) -> None:
    try:
        Path(f"/proc/{pid or 'self'}/clear_refs").write_text("5", "ascii")
    except OSError:
        return  # not Linux, or not ours to reset: the peak is then that of the whole run
