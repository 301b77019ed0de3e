"""Failpoints do what they are armed for, at the passing they are armed for."""

from collections.abc import Iterator

import pytest

from headwater import failpoints
from headwater.errors import ConfigError, Unavailable


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_the_named_passing_fails_and_no_other():
    failpoints.arm("ingest.appended=fail@3")
    failpoints.passing("ingest.appended")
    failpoints.passing("writer.written")
    failpoints.passing("ingest.appended")
    with pytest.raises(Unavailable):
        failpoints.passing("ingest.appended")


def test_unknown_names_and_actions_are_refused():
    with pytest.raises(ConfigError, match="no failpoint"):
        failpoints.arm("ingest.apended=kill")
    with pytest.raises(ConfigError, match="use kill"):
        failpoints.arm("ingest.appended=explode")
