"""The table of the front door's comparison, as it stands in `docs/benchmarks.md`.

In: what was measured, by case and door, a round after the other. Out: lines. A door's figures are those of the round in
which it took the least CPU; what it took beside Headwater is the median over the rounds, each compared within itself,
since a busy machine makes CPU time dearer for both.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.front_loads import Measured

OURS = "Headwater"
_COLUMNS = (
    "load", "door", "messages/s", "CPU-s per million (all runs)", "budget", "beside ours", "ack p50 / p99 ms", "memory",
    "CPU to connect, at rest", "machine's load",
)  # fmt: skip

Rounds = Mapping[str, Mapping[str, Mapping[int, Measured]]]
"""Case → door → round → what was measured."""


def table(rounds: Rounds) -> Sequence[str]:
    """All lines."""
    lines = [_row(*_COLUMNS), "|---" * len(_COLUMNS) + "|"]
    for case, doors in rounds.items():
        for at, (door, runs) in enumerate(doors.items()):
            lines.append(_line("…" if at else case, door, list(runs.values()), beside(runs, doors.get(OURS, {}))))
    return lines


def best(runs: Sequence[Measured]) -> Measured:
    """That with the least CPU time a message."""
    return min(runs, key=lambda run: run.result.per_million)


def beside(theirs: Mapping[int, Measured], ours: Mapping[int, Measured]) -> float | None:
    """How many times our CPU time they took; None for ourselves, or if they never ran in the same round."""
    ratios = [run.result.per_million / ours[at].result.per_million for at, run in theirs.items() if at in ours]
    return median(ratios) if ratios and theirs is not ours else None


def _line(case: str, door: str, runs: Sequence[Measured], ratio: float | None) -> str:
    run, costs = best(runs), sorted(each.result.per_million for each in runs)
    result = run.result
    cost = f"{costs[0]:.1f}" + (f" ({', '.join(f'{cost:.1f}' for cost in costs)})" if len(costs) > 1 else "")
    budget = "" if result.budget is None else f"≤ {result.budget:g}" + " **over**" * (not result.within)
    latency = f"{_milliseconds(result.percentile(0.5))} / {_milliseconds(result.percentile(0.99))}"
    memory = f"{run.begun / 1e6:.0f} MB" + (f" + {run.silent / 1024:.1f} KiB" if run.silent else "")
    memory += f", {run.spoken / 1024:.1f} KiB once it spoke" if run.spoken else ""
    connecting = f"{run.connecting * 1e3:.2f} ms, {run.idle:.1%}" if run.connecting else ""
    loads = sorted(each.load for each in runs)
    load = f"{loads[0]:.1f}" if loads[-1] - loads[0] < 0.05 else f"{loads[0]:.1f} to {loads[-1]:.1f}"
    shown = "" if ratio is None else f"{ratio:.1f} ×"
    speed = f"{result.per_second:,.0f}"
    return _row(case, door, speed, cost, budget, shown, latency, memory, connecting, load)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.0f}" if seconds >= 0.1 else f"{seconds * 1e3:.2g}"
