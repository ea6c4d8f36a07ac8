"""The door to loguru: one sink, constant messages, values as arguments."""

import logging
import sys
from typing import Any, Literal

from loguru import logger

LogFormat = Literal["text", "json"]

_TEXT = (
    "<green>{time:YYYY-MM-DD HH:mm:ss.SSS}</green> <level>{level: <7}</level> {extra[service]} "
    "<level>{message}</level> <dim>{extra}</dim>"
)


class _ToLoguru(logging.Handler):
    """Sends the standard library's records (uvicorn, alembic, httpx) to the same sink."""

    def emit(self, record: logging.LogRecord) -> None:
        level: str | int = record.levelname if record.levelname in logging.getLevelNamesMapping() else record.levelno
        logger.opt(depth=6, exception=record.exc_info).log(level, "{}", record.getMessage())


def _is_no_address(record: logging.LogRecord) -> bool:
    """Keep uvicorn's line for each WebSocket out: it prints the whole query, and tickets and keys are there."""
    return "WebSocket %s" not in str(record.msg)


def configure_logs(service: str, level: str, form: LogFormat) -> None:
    """Route everything this process says to standard error, as text for people or JSON for collectors."""
    logger.remove()
    logger.configure(extra={"service": service})
    if form == "json":
        logger.add(sys.stderr, level=level, serialize=True, backtrace=False, diagnose=False)
    else:
        logger.add(sys.stderr, level=level, format=_TEXT, backtrace=False, diagnose=False)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.INFO, force=True)
    logging.getLogger("uvicorn.error").addFilter(_is_no_address)
    for noisy in ("httpx", "httpcore", "uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def log_context(**values: Any) -> Any:
    """Bind values (job_id, attempt, request_id) to every line inside the `with` block."""
    return logger.contextualize(**values)


__all__ = ["LogFormat", "configure_logs", "log_context", "logger"]
