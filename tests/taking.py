"""How long something takes, told so that a busy machine is not taken for a slow program."""

import gc
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

TRIES = 5


@contextmanager
def within(seconds: float) -> Generator[None]:
    """What is in it ends by itself in `seconds` of the clock on the wall; TimeoutError says that it did not.

    Not an assertion: with CI set, a test that ran out of time runs once more (tests/unsteady.py).
    """
    began = time.monotonic()
    yield
    if (took := time.monotonic() - began) >= seconds:
        raise TimeoutError(f"it took {took:.2f} s, and {seconds} s are given")


def processor_time(call: Callable[[], T], enough: float = 0.0) -> tuple[float, T]:
    """Seconds of processor time that `call` takes, the least of up to five tries, and what it returned last.

    Others who share the core cost a try its caches, and a collection of a whole run's garbage half a second: neither
    is the program's, and neither comes five times. A try that took less than `enough` is the last.
    """
    least, made = _once(call)
    for _ in range(TRIES - 1):
        if least < enough:
            break
        took, made = _once(call)
        least = min(least, took)
    return least, made


def _once(call: Callable[[], T]) -> tuple[float, T]:
    collects = gc.isenabled()
    gc.disable()
    try:
        began = time.thread_time()
        made = call()
        return time.thread_time() - began, made
    finally:
        if collects:
            gc.enable()
