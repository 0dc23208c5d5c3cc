"""Structured logs: static event names, ids as fields, secrets removed, the call that is being worked on named.

Call `configure_logging` once per process; everything else takes `structlog.stdlib.get_logger(__name__)`. Never log the
text of messages or documents.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, ClassVar, Literal, TextIO, cast

import orjson
import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from fireside.runtime.context import Context

current_call: ContextVar[Context | None] = ContextVar("current_call", default=None)
"""The call that the running task works on; kept by the logging middleware."""

REDACTED = "***"
_SECRET_KEY = re.compile(
    r"(password|passphrase|secret|authorization|credential|private_?key|api_?key|cluster_?key|cookie|(^|[_-])token$)",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"(?i)\bbearer\s+\S+|\beyJ[\w-]+\.[\w-]+\.[\w-]*|://[^/\s:@]+:[^/\s@]+@")


class LoggingSettings(BaseSettings):
    """How much is logged, and in which form."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_LOG_", frozen=True)
    live: ClassVar = frozenset({"level"})

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least severity logged.")
    format: Literal["json", "console"] = Field(
        default="json", description="`json` for programs, one object a line; `console` for people."
    )


def configure_logging(settings: LoggingSettings, *, stream: TextIO | None = None) -> None:
    """Send the logs of structlog and of the standard library to one place, in one form.

    Args:
        settings: Level and form.
        stream: Where to write; standard error when None.
    """
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_call,
    ]
    last: list[Any]
    if settings.format == "json":
        last = [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(serializer=_to_json)]
    else:
        last = [
            redact,
            structlog.dev.ConsoleRenderer(
                colors=(stream or sys.stderr).isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(settings)


def set_level(settings: LoggingSettings) -> None:
    """Log from this severity on; also while the process runs."""
    logging.getLogger().setLevel(settings.level.upper())


def add_call(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Name the call that the running task works on: request, action, service, user and trace."""
    context = current_call.get()
    if context is None:
        return event
    event.setdefault("request_id", context.request_id)
    if context.action:
        event.setdefault("action", context.action)
        event.setdefault("service", context.action.split(".", 1)[0])
    if context.identity.user_id is not None:
        event.setdefault("user_id", str(context.identity.user_id))
    if context.traceparent:
        event.setdefault("trace_id", context.traceparent.split("-")[1])
    return event


def redact(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Replace the values of fields whose names speak of secrets, and secrets that stand in other values."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: Any) -> Any:
    if _SECRET_KEY.search(key) and value is not None and not isinstance(value, (bool, int, float)):
        return REDACTED
    if isinstance(value, str):
        return _SECRET_VALUE.sub(REDACTED, value)
    if isinstance(value, dict):
        fields = cast("dict[object, Any]", value)
        return {str(name): _redacted(str(name), item) for name, item in fields.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redacted("", item) for item in cast("Iterable[Any]", value)]
    return value


def _to_json(event: dict[str, Any], default: Callable[[Any], Any] | None = None, **_: Any) -> str:
    del default
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
