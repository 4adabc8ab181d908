"""Logs for operators: structured, on standard error, as JSON or readable text. They never contain a secret.

Values are rendered by an encoder that escapes control characters, so data from a client can't forge a line or send
control sequences to a terminal.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def hidden(module: str) -> Iterator[None]:
    """Make an import of the module fail, as if it were not installed."""
    former = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        if former is not None:
            sys.modules[module] = former


# If rich is installed, structlog draws tracebacks with it: they show the values of variables, passwords among them.
with hidden("rich"):
    import structlog
    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

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
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # one write a line: others write there too
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s", force=True)


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of a part of the gateway."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace the value of any key like `password` with an ellipsis: a safety net against logging it by mistake."""
    for key in event:
        if any(name in key.lower() for name in SECRET_NAMES):
            event[key] = HIDDEN
    return event


def escape_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str) and key != "exception" and not value.isprintable():
            event[key] = value.encode("unicode_escape").decode("ascii")
    return event
