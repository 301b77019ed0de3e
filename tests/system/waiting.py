"""Waiting for what an installation says, asked again and again.

In: a question and the answer that is wanted. Out: it returns when that is the answer; else the test fails and shows it.
"""

import time
from collections.abc import Callable


def until(what: Callable[[], object], wanted: object, seconds: float = 90) -> None:
    """Ask until that is the answer, so many seconds at most. A server that is away is asked again."""
    deadline = time.monotonic() + seconds
    found: object = None
    while time.monotonic() < deadline:
        try:
            found = what()
        except OSError as error:
            found = error
        if found == wanted:
            return
        time.sleep(0.2)
    assert found == wanted, f"{str(found)[:2000]} is not {str(wanted)[:2000]}"
