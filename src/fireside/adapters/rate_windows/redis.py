"""Moving windows on Redis, which nodes share: one list of moments a key, by the server's clock.

A hit is one script on the server, so that parallel hits of several nodes are counted one after another.
"""

from fireside.adapters.redis_clients import RedisScripts
from fireside.ports.rate_windows import RateWindowsError, Window

_WINDOW = """
local key, limit, window, count = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == 'count'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local oldest = redis.call('LINDEX', key, 0)
while oldest and tonumber(oldest) <= now - window do
  redis.call('LPOP', key)
  oldest = redis.call('LINDEX', key, 0)
end
local hits = redis.call('LLEN', key)
local admitted = hits < limit
if admitted and count then
  redis.call('RPUSH', key, string.format('%.0f', now))
  redis.call('PEXPIRE', key, math.ceil(window / 1000))
  hits = hits + 1
  oldest = oldest or now
end
return {hits, admitted and 1 or 0, oldest and string.format('%.0f', tonumber(oldest) + window - now) or '0'}
"""
"""limit, window in microseconds, "count" or "look" -> hits, 1 when admitted, microseconds until the oldest leaves.

Each hit is pushed once and popped once, so that a window costs the same however many hits are in it.
"""


class RedisRateWindows:
    """Counts on one server, a master that Sentinel names, or a cluster. Hits counted last are lost with a server."""

    def __init__(self, url: str, *, prefix: str = "fireside") -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: See `redis_clients`.
            prefix: Begins every key, so that installations can share a server.

        Raises:
            InvalidInputError: The URL is not one of Redis.
        """
        self._redis = RedisScripts(url, error=RateWindowsError, timeout_s=0.5)
        self._prefix = prefix

    async def hit(self, key: str, *, limit: int, window_s: float) -> Window:
        """Count a hit, unless there are as many as the limit."""
        return await self._run(key, limit, window_s, "count")

    async def look(self, key: str, *, limit: int, window_s: float) -> Window:
        """The window as it is."""
        return await self._run(key, limit, window_s, "look")

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    async def _run(self, key: str, limit: int, window_s: float, what: str) -> Window:
        window_us = round(window_s * 1_000_000)
        answer = await self._redis.run(_WINDOW, f"{self._prefix}:rate:{key}", limit, window_us, what)
        hits, admitted, wait_us = answer
        return Window(int(hits), bool(admitted), int(wait_us) / 1_000_000)
