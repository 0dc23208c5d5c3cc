"""Counters of what was used on Redis, which nodes share: each step is one script on the server, by the server's clock.

All keys have one hash tag, so that a cluster keeps them on one server and a script can look at all that apply to a call
together. A counter is a hash (`u` used, `h` held); beside it a sorted set names what is held by the time of its end. It
lives as long, since `h` is lowered by what it names. A set of each group names its counters.
"""

from collections.abc import Sequence
from typing import Any, cast

from fireside.adapters.redis_clients import RedisScripts
from fireside.ports.usage_counters import Claim, Level, Reserved, Settlement, UsageCountersError

_LEVEL = """
local base = KEYS[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function level(key)
  local holds = key .. ':held'
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', now)) do
    redis.call('ZREM', holds, member)
    redis.call('HINCRBY', key, 'h', '-' .. string.match(member, ' (%d+)$'))
  end
  local found = redis.call('HMGET', key, 'u', 'h')
  return found[1], found[2]
end
"""
_RESERVE = (
    _LEVEL
    + """
local name, lease = ARGV[1], tonumber(ARGV[2])
local unknown, full = {}, {}
for i = 3, #ARGV, 3 do
  local key, amount = base .. ARGV[i], ARGV[i + 1]
  if redis.call('ZSCORE', key .. ':held', name .. ' ' .. amount) then return {0} end
  local used, held = level(key)
  if not used then
    table.insert(unknown, ARGV[i])
  elseif tonumber(used) + tonumber(held) + tonumber(amount) > tonumber(ARGV[i + 2]) then
    table.insert(full, ARGV[i])
    table.insert(full, used)
    table.insert(full, held)
  end
end
if #unknown > 0 then return {1, unpack(unknown)} end
if #full > 0 then return {2, unpack(full)} end
for i = 3, #ARGV, 3 do
  local key, amount = base .. ARGV[i], ARGV[i + 1]
  if amount ~= '0' then
    redis.call('ZADD', key .. ':held', now + lease, name .. ' ' .. amount)
    redis.call('PEXPIRE', key .. ':held', redis.call('PTTL', key))
    redis.call('HINCRBY', key, 'h', amount)
  end
end
return {0}
"""
)
"""name, lease in ms; key, amount and limit of each claim -> 0, or 1 and unknown keys, or 2 and keys with levels."""
_SETTLE = """
local base, name = KEYS[1], ARGV[1]
if not redis.call('SET', base .. 'settled ' .. name, 1, 'NX', 'EX', 60) then return 0 end
for i = 2, #ARGV, 3 do
  local key, held = base .. ARGV[i], ARGV[i + 1]
  if held ~= '0' and redis.call('ZREM', key .. ':held', name .. ' ' .. held) == 1 then
    redis.call('HINCRBY', key, 'h', '-' .. held)
  end
  if redis.call('HEXISTS', key, 'u') == 1 then redis.call('HINCRBY', key, 'u', ARGV[i + 2]) end
end
return 1
"""
_SEED = """
local key = KEYS[1] .. ARGV[1]
if redis.call('HSETNX', key, 'u', ARGV[2]) == 1 then
  redis.call('DEL', key .. ':held')
  redis.call('HSET', key, 'h', 0)
  redis.call('PEXPIRE', key, ARGV[3])
  for i = 4, #ARGV do
    local names = KEYS[1] .. 'of ' .. ARGV[i]
    redis.call('SADD', names, ARGV[1])
    redis.call('PEXPIRE', names, math.max(redis.call('PTTL', names), tonumber(ARGV[3])))
  end
elseif tonumber(redis.call('HGET', key, 'u')) < tonumber(ARGV[2]) then
  redis.call('HSET', key, 'u', ARGV[2])
end
return 1
"""
_FORGET = """
local names = KEYS[1] .. 'of ' .. ARGV[1]
for _, name in ipairs(redis.call('SMEMBERS', names)) do
  redis.call('DEL', KEYS[1] .. name, KEYS[1] .. name .. ':held')
end
return redis.call('DEL', names)
"""
_LOOK = (
    _LEVEL
    + """
local found = {}
for i = 1, #ARGV do
  local used, held = level(base .. ARGV[i])
  table.insert(found, used or '')
  table.insert(found, held or '')
end
return found
"""
)


class RedisUsageCounters:
    """Counts on one server, a master that Sentinel names, or a cluster. Counters lost with a server are seeded anew."""

    def __init__(self, url: str, *, prefix: str = "fireside") -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: See `redis_clients`.
            prefix: Begins every key, so that installations can share a server.

        Raises:
            InvalidInputError: The URL is not one of Redis.
        """
        self._redis = RedisScripts(url, error=UsageCountersError, timeout_s=0.5)
        self._base = f"{{{prefix}:usage}}:"

    async def reserve(self, reservation: str, claims: Sequence[Claim], *, lease_s: float) -> Reserved:
        """Hold room on every counter or on none."""
        asked = [part for claim in claims for part in (claim.key, claim.amount, claim.limit)]
        code, *rest = await self._run(_RESERVE, reservation, round(lease_s * 1000), *asked)
        words = [_text(item) for item in rest]
        if code == 1:
            return Reserved(unknown=tuple(words))
        triples = zip(words[::3], words[1::3], words[2::3], strict=True)
        return Reserved(full=tuple((key, Level(int(used), int(held))) for key, used, held in triples))

    async def settle(self, reservation: str, settlements: Sequence[Settlement]) -> None:
        """Give back what is still held and count what was used."""
        told = [part for item in settlements for part in (item.key, item.held, item.used)]
        await self._run(_SETTLE, reservation, *told)

    async def seed(self, key: str, used: int, *, ttl_s: float, groups: Sequence[str] = ()) -> None:
        """Make a counter known, or let it count no less."""
        await self._run(_SEED, key, used, max(1, round(ttl_s * 1000)), *groups)

    async def forget(self, group: str) -> None:
        """Make every counter of a group unknown."""
        await self._run(_FORGET, group)

    async def look(self, keys: Sequence[str]) -> list[Level | None]:
        """The counters as they are."""
        words = [_text(item) for item in await self._run(_LOOK, *keys)]
        pairs = zip(words[::2], words[1::2], strict=True)
        return [Level(int(used), int(held)) if used else None for used, held in pairs]

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    async def _run(self, script: str, *arguments: str | int) -> list[Any]:
        answer = await self._redis.run(script, self._base, *arguments)
        return cast("list[Any]", answer) if isinstance(answer, list) else [answer]


def _text(item: str | bytes) -> str:
    return item.decode() if isinstance(item, bytes) else item
