"""What the parts of the program have to say: an event, and what it is about. How that looks is no concern of theirs.

In: `get_logger().warning("it is away", server=name)`. Out: an `Event`, to where `to` says: `headwater.logs` sets that
in processes that run on, and a command says it on standard error. Without structlog, which brings rich, pygments and
attrs into every process, 5 MB: `headwater.logs` loads it for a person at a terminal.
"""

import logging
import sys
import traceback
from collections.abc import Callable, Generator, MutableMapping
from contextlib import contextmanager
from typing import Any

Event = MutableMapping[str, Any]
"""`event`, `level`, what it is about; `exc_info`, if there was an exception: it, or True for the one being handled."""

Sink = Callable[[Event], None]

_LEVELS = logging.getLevelNamesMapping()


class Logger:
    """Each level as in the standard library, with keys instead of a format."""

    def debug(self, event: str, /, **about: object) -> None:
        _sink({**about, "event": event, "level": "debug"})

    def info(self, event: str, /, **about: object) -> None:
        _sink({**about, "event": event, "level": "info"})

    def warning(self, event: str, /, **about: object) -> None:
        _sink({**about, "event": event, "level": "warning"})

    def error(self, event: str, /, **about: object) -> None:
        _sink({**about, "event": event, "level": "error"})

    def exception(self, event: str, /, **about: object) -> None:
        """An error, with the exception that is being handled."""
        _sink({**about, "event": event, "level": "error", "exc_info": True})

    def critical(self, event: str, /, **about: object) -> None:
        _sink({**about, "event": event, "level": "critical"})


_logger = Logger()


def get_logger() -> Logger:
    """The one there is."""
    return _logger


def weight(event: Event) -> int:
    """The number of its level, as the standard library has it."""
    return _LEVELS[event["level"].upper()]


def with_traceback(event: Event) -> Event:
    """`exception`, the traceback as text, in place of `exc_info`."""
    found = event.pop("exc_info", None)
    error = sys.exc_info()[1] if found is True else found
    if isinstance(error, BaseException):
        event["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return event


def plainly(event: Event) -> None:
    """A line on standard error, for the person who gave the command; nothing below `info`."""
    if weight(event) < logging.INFO:
        return
    told = with_traceback(event)
    level, said, after = told.pop("level"), told.pop("event"), told.pop("exception", "")
    about = "".join(f" {key}={value!r}" for key, value in told.items())
    print(f"{level}: {said}{about}", *([after] if after else []), sep="\n", file=sys.stderr)  # noqa: T201 - its purpose


_sink: Sink = plainly


def to(sink: Sink) -> Sink:
    """From now on events go there; returns where they went before."""
    global _sink
    before, _sink = _sink, sink
    return before


@contextmanager
def capture_logs() -> Generator[list[Event]]:
    """For tests: what is said in the block, and nowhere else."""
    said: list[Event] = []
    before = to(said.append)
    try:
        yield said
    finally:
        to(before)
