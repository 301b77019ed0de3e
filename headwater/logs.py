"""What the program says: one line an event, quiet when all is well. Secrets never come here.

In: events, by `headwater.saying` and by the standard library's loggers. Out: lines on standard error, and the same
events as JSON in `LogLines`, from where they go to the lake's place. What a key calls a secret, and a password in a
URL, are masked.
"""

import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from headwater import saying
from headwater.config import Logging
from headwater.log_lines import LogLines
from headwater.saying import Event, weight, with_traceback
from headwater.times import now, rfc3339

_SECRET = re.compile(r"password|passwd|secret|token|credential|authorization|cookie|access_key", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
_MASKED = "***"
_EACH_TRY = ("aiokafka", "elastic_transport")
"""Libraries that say each try to reach a server; who uses them says it once."""


def configure(config: Logging) -> LogLines:
    """Set up what is done with events, and let the standard library's loggers (uvicorn's) pass from `warning` up.

    Returns what is going to be written to the lake's place too; nothing, where the configuration says so.
    """
    lines = LogLines(config.buffer_size if config.keep else 0)
    text = config.format == "text" or (config.format == "auto" and sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[config.level.upper()]
    saying.to(_Said(level, _for_people() if text else _as_json, lines if config.keep else None))
    others = max(level, logging.WARNING)
    logging.basicConfig(stream=sys.stderr, level=others, format="%(levelname)s %(name)s %(message)s")
    if level > logging.DEBUG:
        for name in _EACH_TRY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if config.keep:
        logging.getLogger().addHandler(_OthersKept(lines))
    return lines


class _Said:
    """Writes events on what is standard error now, and a copy of each into `kept`. `render`: one in a line or more."""

    def __init__(self, least: int, render: Callable[[Event], str], kept: LogLines | None) -> None:
        self._least = least
        self._render = render
        self._kept = kept
        self._stream = sys.stderr

    def __call__(self, event: Event) -> None:
        if weight(event) < self._least:
            return
        event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        event = without_secrets(event)
        if self._kept is not None:
            self._kept.add(_line(without_secrets(with_traceback(dict(event)))))
        self._stream.write(f"{self._render(event)}\n")
        self._stream.flush()


def _as_json(event: Event) -> str:
    return json.dumps(with_traceback(event), default=repr)


def _for_people() -> Callable[[Event], str]:
    """With colours, and a traceback that shows the code."""
    import structlog  # noqa: PLC0415 - see `headwater.saying`

    render = structlog.dev.ConsoleRenderer()
    return lambda event: str(render(None, event["level"], event))


def without_secrets(event: Event) -> Event:
    """Mask what a key calls a secret, and passwords in URLs."""
    for key, value in event.items():
        if _SECRET.search(key):
            event[key] = _MASKED
        elif isinstance(value, str) and "://" in value:
            event[key] = _IN_URL.sub(_MASKED, value)
    return event


class _OthersKept(logging.Handler):
    """Keeps what the standard library's loggers say."""

    def __init__(self, lines: LogLines) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.add(_line(without_secrets(self._event(record))))
        except (TypeError, ValueError):  # as every handler does: who logs is not hurt by it
            self.handleError(record)

    def _event(self, record: logging.LogRecord) -> Event:
        event: Event = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": rfc3339(now()),
        }
        if record.exc_info:
            event["exception"] = logging.Formatter().formatException(record.exc_info)
        return event


def _line(event: Event) -> bytes:
    return json.dumps(dict(event), default=repr).encode() + b"\n"
