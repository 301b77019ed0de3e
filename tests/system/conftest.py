"""A running program for tests that do not kill it: one a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.program import Program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder: Path = tmp_path_factory.mktemp("program")
    settings = {"HEADWATER_LAKE__FLUSH_EVERY": "1s", "HEADWATER_SELECTION__CLOCK": "1s"}
    running = Program(folder / "data", settings)
    running.start()
    yield running
    assert running.exited() is None, running.output.read_text()[-4000:]
    assert running.stop() == 0, running.output.read_text()[-4000:]
