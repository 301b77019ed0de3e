"""Quantities, times and ids as people and devices write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater import ids, times
from headwater.errors import Rejected
from headwater.quantities import parse_duration, parse_size, write_duration, write_size


@given(st.integers(0, 10**12))
def test_a_duration_written_is_read_back(milliseconds: int):
    seconds = milliseconds / 1000
    assert parse_duration(write_duration(seconds)) == pytest.approx(seconds)


@given(st.integers(0, 10**15))
def test_a_size_written_is_read_back(size: int):
    assert parse_size(write_size(size)) == size


@pytest.mark.parametrize("text", ["10", "ten s", "-1s", "1 parsec", "", "1s2"])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(ValueError, match="not like"):
        parse_duration(text)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_moment_written_is_read_back_to_the_microsecond(moment: datetime):
    micros = times.parse_at(moment.isoformat())
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros) == moment
    assert times.parse_at(times.rfc3339(micros)) == micros


def test_at_in_milliseconds_and_with_a_zone():
    assert times.parse_at(1763700000123) == 1763700000123000
    assert times.parse_at("2026-11-21T09:40:00+02:00") == times.parse_at("2026-11-21T07:40:00Z")


@pytest.mark.parametrize("at", ["yesterday", "2026-13-01T00:00:00Z", -1, 1e300, float("nan"), 10**17])
def test_what_is_no_time_is_rejected(at: float | str):
    with pytest.raises(Rejected) as caught:
        times.parse_at(at)
    assert caught.value.reason == "bad_time"


def test_a_clock_is_believed_within_thirty_days_back_and_five_minutes_ahead():
    now = 10**16
    day, minute = 86_400 * times.SECOND, 60 * times.SECOND
    assert times.believed(now - 29 * day, now) == (now - 29 * day, "")
    assert times.believed(now - 31 * day, now) == (now, "past")
    assert times.believed(now + 4 * minute, now) == (now + 4 * minute, "")
    assert times.believed(now + 6 * minute, now) == (now, "future")
    assert times.believed(None, now) == (now, "none")


@given(st.lists(st.binary(), min_size=1, max_size=4), st.lists(st.binary(), min_size=1, max_size=4))
def test_hashed_ids_keep_parts_apart(a: list[bytes], b: list[bytes]):
    if b"\x00" not in b"".join(a + b):
        assert (ids.hashed(*a) == ids.hashed(*b)) == (a == b)


def test_fresh_ids_differ():
    assert len({ids.fresh() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", ".hidden", "a b", "é", "x" * 129, "../etc", "a\n", "-a"])
def test_a_name_that_could_mean_something_in_a_topic_or_path_is_refused(name: str):
    with pytest.raises(Rejected):
        ids.check_device(name)


@pytest.mark.parametrize("name", ["7", "pump-7", "00:11:22:aa:bb:cc", "a@b", "x" * 128])
def test_names_that_devices_have_are_taken(name: str):
    assert ids.check_device(name) == name
