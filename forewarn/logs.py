"""Logging: event names are stable phrases, facts are keys. Console for people, JSON for machines; always on stderr."""

from __future__ import annotations

import logging
import sys

_HAD_RICH = "rich" in sys.modules
if not _HAD_RICH:
    sys.modules["rich"] = None  # type: ignore[assignment] # 7 MB in every process, for tracebacks that no log needs
import structlog  # noqa: E402

if not _HAD_RICH:
    del sys.modules["rich"]


def configure_logging(level: str = "info", *, as_json: bool = False) -> None:
    """Set up structlog for this process."""
    renderer: structlog.typing.Processor
    if as_json:
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
