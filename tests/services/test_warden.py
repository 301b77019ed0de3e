"""No test run leaves a server behind, however it ends."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services.recipes import native
from tests.services.server import Missing

_RUN = """
import os, pathlib, signal, sys
from tests.services.recipes import native
server = native("redis", pathlib.Path(sys.argv[1]))
server.start()
print(server._group, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_servers_end_with_the_run_that_was_killed(tmp_path: Path) -> None:
    try:
        native("redis", tmp_path / "probe")
    except Missing as missing:
        pytest.skip(str(missing))
    command = [sys.executable, "-c", _RUN, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[2]
    )
    server = Path("/proc", done.stdout.strip())
    deadline = time.monotonic() + 30
    while server.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not server.exists()
