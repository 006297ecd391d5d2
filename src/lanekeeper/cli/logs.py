"""How the log looks: one JSON object a line on a pipe, readable on a terminal; always stderr.

A terminal is spared the requests that went well, unless the level is debug.
"""

from __future__ import annotations

import logging
import sys

import structlog

LEVELS = ("debug", "info", "warning", "error")


_SERVED, _ERROR = "request.served", 400


def spare_the_reader(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Drop the line of a request that went well: on a terminal it buries what is to be read."""
    if event["event"] == _SERVED and event["status"] < _ERROR:
        raise structlog.DropEvent
    return event


class _Libraries(logging.Handler):
    """Has what libraries say stand in the same log, in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            told = {"outcome": record.getMessage(), "exc_info": record.exc_info or None}
            structlog.get_logger(record.name).log(record.levelno, "library.said", **told)
        except Exception:  # as logging's own handlers: no line is worth a failure
            self.handleError(record)


def set_up(level: str = "info") -> None:
    """Configure structlog, and let the standard library's loggers speak only in trouble."""
    number = logging.getLevelNamesMapping()[level.upper()]
    on_terminal = sys.stderr.isatty()
    # Never with local variables, as a pretty traceback has them: they hold passwords and tokens.
    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if on_terminal
        else structlog.processors.JSONRenderer()
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not on_terminal:
        processors.append(structlog.processors.format_exc_info)
    elif number > logging.DEBUG:
        processors.insert(0, spare_the_reader)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Libraries()], level=max(number, logging.WARNING), force=True)
