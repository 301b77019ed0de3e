"""What the program says: one line an event, quiet when all is well. Secrets never come here."""

import logging
import sys

import structlog

from headwater.config import Logging


def configure(config: Logging) -> None:
    """Set up structlog, and let the standard library's loggers (uvicorn's) pass through it from `warning` up."""
    text = config.format == "text" or (config.format == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer()
    level = logging.getLevelNamesMapping()[config.level.upper()]
    shared = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer] if not text else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        stream=sys.stderr, level=max(level, logging.WARNING), format="%(levelname)s %(name)s %(message)s"
    )
