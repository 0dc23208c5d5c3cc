"""The cache, the windows of rate limits and the counters of usage for each URL scheme."""

import importlib.util
from urllib.parse import urlsplit

from fireside.adapters.cache.memory import MemoryCache
from fireside.adapters.cache.tiered import TieredCache
from fireside.adapters.rate_windows.memory import MemoryRateWindows
from fireside.adapters.usage_counters.memory import MemoryUsageCounters
from fireside.bootstrap.environment import SettingsError, read_settings
from fireside.bootstrap.settings import Settings
from fireside.core.clock import Clock
from fireside.core.errors import InvalidInputError
from fireside.ports.cache import NodeCacheStore, SharedCacheStore
from fireside.ports.rate_windows import RateWindows
from fireside.ports.usage_counters import UsageCounters
from fireside.runtime.caching import Cache, CacheSettings
from fireside.runtime.metering import SharedOrOwnCounters
from fireside.runtime.metrics import Metrics
from fireside.services.gateway.shared_windows import SharedOrOwnWindows

_REDIS = "redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster"


def make_cache(settings: Settings, *, metrics: Metrics, clock: Clock) -> Cache:
    """The cache that FIRESIDE_CACHE_URL names, not yet open: memory, or Redis with memory in front.

    Raises:
        SettingsError: There is no cache for this scheme, its library is not installed, or a setting is wrong.
    """
    wanted = read_settings(CacheSettings)
    near = MemoryCache(max_entries=wanted.max_entries, max_bytes=wanted.max_bytes, clock=clock)
    store: NodeCacheStore = near
    if urlsplit(settings.cache_url).scheme != "memory":
        store = TieredCache(near, _redis_cache(settings), clock=clock)
    return Cache(store, metrics=metrics, settings=wanted)


def make_rate_windows(settings: Settings, *, clock: Clock) -> SharedOrOwnWindows | None:
    """The windows that FIRESIDE_LIMITS_URL names, FIRESIDE_CACHE_URL where it is empty; None when nodes share none.

    Raises:
        SettingsError: There are no windows for this scheme, or its library is not installed.
    """
    variable, url = _limits_url(settings)
    if urlsplit(url).scheme == "memory":
        return None
    return SharedOrOwnWindows(
        shared=_redis_windows(url, variable, prefix=_prefix(settings)), own=MemoryRateWindows(clock), clock=clock
    )


def make_usage_counters(settings: Settings, *, clock: Clock) -> UsageCounters:
    """The counters of usage, where rate limits are counted too; in memory when nodes share none.

    Raises:
        SettingsError: There are no counters for this scheme, or its library is not installed.
    """
    variable, url = _limits_url(settings)
    own = MemoryUsageCounters(clock)
    if urlsplit(url).scheme == "memory":
        return own
    _require_redis(variable, url, "limits")
    from fireside.adapters.usage_counters.redis import RedisUsageCounters  # noqa: PLC0415 - needs the extra

    try:
        shared = RedisUsageCounters(url, prefix=_prefix(settings))
    except InvalidInputError as error:
        raise SettingsError(f"{variable}: {error.message}") from error
    return SharedOrOwnCounters(shared=shared, own=own, clock=clock)


def _limits_url(settings: Settings) -> tuple[str, str]:
    """Where limits are counted, and the variable that says so."""
    if settings.limits_url:
        return "FIRESIDE_LIMITS_URL", settings.limits_url
    return "FIRESIDE_CACHE_URL", settings.cache_url


def _redis_cache(settings: Settings) -> SharedCacheStore:
    _require_redis("FIRESIDE_CACHE_URL", settings.cache_url, "cache")
    from fireside.adapters.cache.redis import RedisCache  # noqa: PLC0415 - needs the extra

    try:
        return RedisCache(settings.cache_url, prefix=_prefix(settings))
    except InvalidInputError as error:
        raise SettingsError(f"FIRESIDE_CACHE_URL: {error.message}") from error


def _redis_windows(url: str, variable: str, *, prefix: str) -> RateWindows:
    _require_redis(variable, url, "rate limits")
    from fireside.adapters.rate_windows.redis import RedisRateWindows  # noqa: PLC0415 - needs the extra

    try:
        return RedisRateWindows(url, prefix=prefix)
    except InvalidInputError as error:
        raise SettingsError(f"{variable}: {error.message}") from error


def _require_redis(variable: str, url: str, what: str) -> None:
    """Pass when the URL is one of Redis, and its client is installed.

    Raises:
        SettingsError: It is not.
    """
    scheme = urlsplit(url).scheme
    if scheme not in _REDIS.split(", "):
        raise SettingsError(f"{variable}: no {what} for scheme {scheme!r} (memory, {_REDIS})")
    if importlib.util.find_spec("redis") is None:
        raise SettingsError(f"{variable} needs the Redis client: pip install 'fireside-ai[redis]'")


def _prefix(settings: Settings) -> str:
    return f"fireside:{settings.namespace}" if settings.namespace else "fireside"
