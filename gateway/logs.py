"""Logs for operators: structured, on standard error, JSON or readable. They never hold a secret.

Values are rendered by an encoder that escapes control characters, so nothing that a client sent can forge a
line or command a terminal.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

SECRET_NAMES = ("password", "token", "cookie", "secret", "code", "authorization", "ticket")
HIDDEN = "…"


def configure(form: str, level: int = logging.INFO) -> None:
    """Set up logging for this process. `form` is "json" or "console"."""
    renderer = structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            hide_secrets,
            structlog.processors.format_exc_info,
            escape_controls,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s", force=True)


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A second net: whoever logs a value under a name like `password` by mistake logs a dash."""
    for key in event:
        if any(name in key.lower() for name in SECRET_NAMES):
            event[key] = HIDDEN
    return event


def escape_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str) and key != "exception" and not value.isprintable():
            event[key] = value.encode("unicode_escape").decode("ascii")
    return event
