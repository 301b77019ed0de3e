"""How the front door's benchmark compares: within a round, and the cheapest run of each door."""

import pytest

from benchmarks.front_loads import Measured
from benchmarks.front_table import beside, best, table
from benchmarks.measure import Result


def run(cpu: float, *, budget: float | None = None, load: float = 1.0) -> Measured:
    """A million messages in two seconds."""
    result = Result("work", 1_000_000, budget, wall=2, cpu=cpu, latencies=[0.002] * 98 + [0.3] * 2)
    return Measured(result, 80 * 10**6, silent=2048, spoken=4096, connecting=0.0005, idle=0.02, load=load)


def test_the_cheapest_run_stands_for_a_door():
    runs = [run(9), run(7), run(8)]
    assert best(runs) is runs[1]


def test_peers_are_compared_within_their_round_and_the_median_is_told():
    ours = {0: run(10), 1: run(20), 2: run(10)}
    assert beside({0: run(20), 1: run(20), 2: run(40)}, ours) == pytest.approx(2)


def test_a_round_in_which_only_one_of_them_ran_is_left_out():
    assert beside({0: run(30), 1: run(10)}, {1: run(10)}) == pytest.approx(1)
    assert beside({0: run(30)}, {1: run(10)}) is None


def test_a_door_is_not_compared_with_itself():
    ours = {0: run(10)}
    assert beside(ours, ours) is None


def test_a_row_says_what_was_measured():
    lines = table({"load": {"Headwater": {0: run(8, budget=8), 1: run(9, load=3.0)}, "Peer": {0: run(16)}}})
    assert lines[2] == (
        "| load | Headwater | 500,000 | 8.0 (8.0, 9.0) | ≤ 8 |  | 2 / 300 | 80 MB + 2.0 KiB, 4.0 KiB once it spoke |"
        " 0.50 ms, 2.0% | 1.0 to 3.0 |"
    )
    assert lines[3].startswith("| … | Peer | 500,000 | 16.0 |  | 2.0 × |")
    assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_a_budget_that_is_missed_is_marked_and_a_load_that_failed_for_us_is_still_told():
    assert "≤ 8 **over**" in table({"load": {"Headwater": {0: run(8.1, budget=8)}}})[2]
    assert table({"load": {"Peer": {0: run(16)}}})[2].startswith("| load | Peer | 500,000 | 16.0 |  |  |")
