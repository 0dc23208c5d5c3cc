"""The event stream for each URL scheme."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.bootstrap.environment import SettingsError
from fireside.core.errors import InvalidInputError
from fireside.ports.event_stream import EventStream

_RABBITMQ = {"amqp", "amqps"}
_JETSTREAM = {"nats", "tls"}
_REDIS = {"redis", "rediss", "redis+sentinel", "redis+cluster"}
_OPTIONS = {"replicas": int, "take_over_s": float}


def make_event_stream(url: str, *, namespace: str = "") -> EventStream:
    """The event stream that a URL names, not yet open.

    Args:
        url: Of the broker. In its query, for NATS and Redis: `replicas`, how many servers must have a fact, and
            `take_over_s`, after how long without a sign of life another member of a group goes on.
        namespace: Separates clusters that share a broker.

    Raises:
        SettingsError: No event stream for this scheme, its library is not installed, or an option has no such value.
    """
    scheme = urlsplit(url).scheme
    if scheme == "outbox":
        return OutboxEventStream()
    if scheme in _RABBITMQ:
        return _rabbitmq(url, namespace)
    if scheme not in _JETSTREAM | _REDIS:
        known = ", ".join(["outbox", *sorted(_RABBITMQ | _JETSTREAM | _REDIS)])
        raise SettingsError(f"FIRESIDE_EVENT_STREAM_URL: no event stream for scheme {scheme!r} ({known})")
    plain_url, options = _split(url)
    try:
        return (_jetstream if scheme in _JETSTREAM else _redis)(plain_url, namespace, options)
    except InvalidInputError as error:
        raise SettingsError(f"FIRESIDE_EVENT_STREAM_URL: {error.message}") from error


def _rabbitmq(url: str, namespace: str) -> EventStream:
    try:
        from fireside.adapters.event_stream.rabbitmq import RabbitEventStream  # noqa: PLC0415 - needs an extra
    except ImportError as error:
        raise _missing("amqp") from error
    return RabbitEventStream(url, namespace=namespace)


def _jetstream(url: str, namespace: str, options: dict[str, Any]) -> EventStream:
    try:
        from fireside.adapters.event_stream.jetstream import JetStreamEventStream  # noqa: PLC0415 - needs an extra
    except ImportError as error:
        raise _missing("nats") from error
    return JetStreamEventStream(url, namespace=namespace, **options)


def _redis(url: str, namespace: str, options: dict[str, Any]) -> EventStream:
    try:
        from fireside.adapters.event_stream.redis_streams import RedisEventStream  # noqa: PLC0415 - needs an extra
    except ImportError as error:
        raise _missing("redis") from error
    return RedisEventStream(url, namespace=namespace, **options)


def _missing(extra: str) -> SettingsError:
    return SettingsError(f"FIRESIDE_EVENT_STREAM_URL needs a driver: pip install 'fireside-ai[{extra}]'")


def _split(url: str) -> tuple[str, dict[str, Any]]:
    """The URL without the options that are ours, and those."""
    parts = urlsplit(url)
    options, others = dict[str, Any](), list[tuple[str, str]]()
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _OPTIONS:
            others.append((name, value))
            continue
        try:
            options[name] = _OPTIONS[name](value)
        except ValueError as error:
            raise SettingsError(f"FIRESIDE_EVENT_STREAM_URL: {name} is a number, not {value!r}") from error
    return parts._replace(query=urlencode(others)).geturl(), options
