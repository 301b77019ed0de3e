"""Times as devices write them: one instant, however it is spelt."""

import pytest

from ingest.decoders.clocks import instant

AT = 1_666_170_225_000_000


@pytest.mark.parametrize(
    ("written", "more"),
    [
        ("2022-10-19T09:03:45Z", 0),
        ("2022-10-19T11:03:45+02:00", 0),
        ("2022-10-19 09:03:45", 0),
        ("2022-10-19 09:03:45 UTC", 0),
        ("2022-10-19T09:03:45.4Z", 400_000),
        ("2022-10-19T09:03:45.123456789Z", 123_456),
        ("2022-10-19T09:03:45.", 0),
        ("2022/10/19 09:03:45", 0),
        ("19-10-2022 09:03:45", 0),
        ("19.10.2022 09:03:45", 0),
        ("19.10.2022 9:3:45", 0),
        ("20221019090345", 0),
        (" 1666170225 ", 0),
        (1_666_170_225, 0),
        (1_666_170_225_000, 0),
        (1_666_170_225_000_000, 0),
        (1_666_170_225_000_000_000, 0),
        (1_666_170_225.5, 500_000),
    ],
)
def test_one_instant_however_it_is_spelt(written: object, more: int) -> None:
    assert instant(written) == AT + more


@pytest.mark.parametrize(
    "written",
    ["", "0", 0, "1970-01-01T00:00:00Z", "now", "99.10.2022 09:03:45", "20221399090345", None, True, [], "1" * 80],
)
def test_what_is_no_time_is_none(written: object) -> None:
    assert instant(written) is None
