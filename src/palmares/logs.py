"""What the server says on standard error: lines for people, or JSON for machines."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from typing import TextIO, cast

import structlog

from palmares.config import Settings


def configure_logging(settings: Settings) -> None:
    """Lines for people or JSON for machines, on stderr."""
    # Plain tracebacks: the pretty ones print local variables, which may be secrets.
    shown = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *([structlog.processors.format_exc_info] if settings.log_format == "json" else []),
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


class _Stderr(io.TextIOBase):
    """Standard error, where a line that cannot be written is lost.

    It may be a file on the disk that is full: to say so must not be what stops the server.
    """

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
