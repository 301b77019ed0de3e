"""What the program says: one line an event, quiet when all is well. Secrets never come here.

In: events, by structlog and by the standard library's loggers. Out: lines on standard error, and the same events as
JSON in `LogLines`, from where they go to the lake's place. What a key calls a secret, and a password in a URL, are
masked.
"""

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from headwater.config import Logging
from headwater.log_lines import LogLines
from headwater.times import now, rfc3339

_SECRET = re.compile(r"password|passwd|secret|token|credential|authorization|cookie|access_key", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
_MASKED = "***"
_EACH_TRY = ("aiokafka", "elastic_transport")
"""Libraries that say each try to reach a server; who uses them says it once."""

Event = MutableMapping[str, Any]


def configure(config: Logging) -> LogLines:
    """Set up structlog, and let the standard library's loggers (uvicorn's) pass through it from `warning` up.

    Returns what is going to be written to the lake's place too; nothing, where the configuration says so.
    """
    lines = LogLines(config.buffer_size if config.keep else 0)
    text = config.format == "text" or (config.format == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer()
    level = logging.getLevelNamesMapping()[config.level.upper()]
    shared = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_secrets,
        *([_Kept(lines)] if config.keep else []),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer] if not text else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    others = max(level, logging.WARNING)
    logging.basicConfig(stream=sys.stderr, level=others, format="%(levelname)s %(name)s %(message)s")
    if level > logging.DEBUG:
        for name in _EACH_TRY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if config.keep:
        logging.getLogger().addHandler(_OthersKept(lines))
    return lines


def without_secrets(_logger: object, _method: str, event: Event) -> Event:
    """Mask what a key calls a secret, and passwords in URLs."""
    for key, value in event.items():
        if _SECRET.search(key):
            event[key] = _MASKED
        elif isinstance(value, str) and "://" in value:
            event[key] = _IN_URL.sub(_MASKED, value)
    return event


class _Kept:
    """Puts a copy of each event into `LogLines`."""

    def __init__(self, lines: LogLines) -> None:
        self._lines = lines

    def __call__(self, logger: object, method: str, event: Event) -> Event:
        copy = structlog.processors.format_exc_info(logger, method, dict(event))  # pyright: ignore[reportArgumentType]
        self._lines.add(_line(without_secrets(logger, method, copy)))
        return event


class _OthersKept(logging.Handler):
    """The same for the standard library's loggers."""

    def __init__(self, lines: LogLines) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.add(_line(without_secrets(None, "", self._event(record))))
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
