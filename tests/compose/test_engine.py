"""The Dockerfile and docker-compose.yml on a real engine, scaled to three consumers: what tests/compose/run does.

It takes minutes, so it is run where ENGINE_TESTS=1 asks for it; the summary says so where it was not.
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.compose.conftest import NOT_SHOWN

RUN = Path(__file__).with_name("run")
CANNOT_RUN = 77
SECONDS = 2400
"""The first run makes its images, which takes minutes more than the others."""


@pytest.mark.process
@pytest.mark.timeout(SECONDS + 300)
def test_what_is_sent_to_the_composed_stack_is_found_in_every_store(request: pytest.FixtureRequest) -> None:
    asked = os.environ.get("ENGINE_TESTS") == "1"
    output, code = _run() if asked else ("the stack on a container engine: not asked for (ENGINE_TESTS=1)", CANNOT_RUN)
    if code == CANNOT_RUN:
        reason = output.strip().splitlines()[-1]
        request.config.stash[NOT_SHOWN] = reason
        if asked:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    print(output)
    assert code == 0, output[-8000:]


def _run() -> tuple[str, int]:
    process = subprocess.Popen(
        [str(RUN)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)  # it takes everything down
        process.communicate(timeout=200)
        raise
    return output, process.returncode
