"""Buckets let through their rate in the long run, with one burst; of many names the oldest is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.buckets import Bucket, Buckets, Rate


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.floats(1, 1000), st.lists(st.tuples(st.floats(0, 5), st.integers(1, 500)), min_size=1, max_size=50))
def test_who_waits_when_told_gets_the_rate_and_one_burst_at_most(rate: float, reads: list[tuple[float, int]]) -> None:
    now, sent = 0.0, 0
    bucket = Bucket(rate, rate, now)
    for pause, count in reads:
        wait = bucket.take(count, now)
        sent += count
        now += wait + pause
        assert sent <= rate * now + rate + 0.001 * sent + 500 * (wait == 0)
    assert bucket.take(0, now) == 0 or abs(bucket.take(0, now)) < 0.001


@given(st.floats(0.1, 100), st.floats(1, 50), st.lists(st.floats(0, 3), max_size=60))
def test_who_comes_before_their_time_owes_nothing_for_it_and_gets_no_more(
    each: float, burst: float, pauses: list[float]
) -> None:
    clock = Clock()
    buckets, begin, taken = Buckets(10, clock), clock.now, 0
    for pause in pauses:
        wait = buckets.spare("a", Rate(each, burst))
        taken += not wait
        assert taken <= each * (clock.now - begin) + burst + 0.001
        clock.now += pause
    clock.now += buckets.spare("a", Rate(each, burst)) + 1e-6
    clock.now += 1 / each
    assert buckets.spare("a", Rate(each, burst)) == 0


def test_what_is_owed_is_owed_by_name_and_is_over_when_it_is_paid() -> None:
    clock = Clock()
    buckets = Buckets(10, clock)
    buckets.take("a", Rate(10, 10), 40)
    assert (buckets.owed("a"), buckets.owed("b")) == (3, 0)
    clock.now += 3
    assert buckets.owed("a") == 0


def test_without_a_rate_there_is_no_limit_and_of_too_many_the_oldest_begins_anew() -> None:
    buckets = Buckets(2, Clock())
    assert all(buckets.spare("a", Rate(0, 0)) == 0 for _ in range(100))
    for name in "abc":
        buckets.take(name, Rate(1, 1), 5)
    assert [bool(buckets.owed(name)) for name in "abc"] == [False, True, True]
