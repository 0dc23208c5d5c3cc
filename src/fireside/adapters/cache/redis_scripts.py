"""The scripts that `redis.py` runs on the server: each is one step that nothing comes between.

A part of the cache is a set of keys in one hash slot, all beginning with KEYS[1]:

- `:e:<key>`: a value, with its time to live;
- `:t:<tag>`: the keys that carry a tag;
- `:about`: key -> size and tags, `:index`: key -> when it expires, so that the rest can be tidied after a value;
- `:marks`: `k:<key>` or `t:<tag>` -> when it was last forgotten, the latest ten thousand;
- `:state`: `bytes` held, `moment` of the latest mark, and `floor`, the moment before which marks are unknown.

Moments are microseconds of the server's clock, never the same twice for marks, so that they keep growing when another
server takes over. Keys other than KEYS[1] are made in the scripts; a cluster allows that within the slot.
"""

_BASE = """
local base, time = KEYS[1], redis.call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local state, about, index, marks = base .. ':state', base .. ':about', base .. ':index', base .. ':marks'

local function text(number) return string.format('%.0f', number) end

local function next_moment()
  local latest = tonumber(redis.call('HGET', state, 'moment') or 0)
  return math.max(latest + 1, micros)
end

local function floor()
  local known = redis.call('HGET', state, 'floor')
  if known then return tonumber(known) end
  redis.call('HSET', state, 'floor', text(next_moment() - 1))
  return next_moment() - 1
end

local function mark(name)
  local moment = next_moment()
  redis.call('HSET', state, 'moment', text(moment))
  redis.call('ZADD', marks, text(moment), name)
  local excess = redis.call('ZCARD', marks) - 10000
  if excess > 0 then
    local oldest = redis.call('ZPOPMIN', marks, excess)
    redis.call('HSET', state, 'floor', oldest[#oldest])
  end
end

local function drop(key)
  local known = redis.call('HGET', about, key)
  if not known then return 0 end
  local size_and_tags = cmsgpack.unpack(known)
  for place = 2, #size_and_tags do redis.call('SREM', base .. ':t:' .. size_and_tags[place], key) end
  redis.call('HINCRBY', state, 'bytes', -size_and_tags[1])
  redis.call('HDEL', about, key)
  redis.call('ZREM', index, key)
  return redis.call('DEL', base .. ':e:' .. key)
end

local function tidy(most)
  local now = text(math.floor(micros / 1000))
  for _, key in ipairs(redis.call('ZRANGE', index, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)) do drop(key) end
end
"""

LOOK_UP = (
    _BASE
    + """
floor()
local key = ARGV[1]
local value = redis.call('GET', base .. ':e:' .. key)
local stamp = text(next_moment())
if not value then return {stamp} end
local known = redis.call('HGET', about, key)
if not known then return {stamp} end
local found = cmsgpack.unpack(known)
found[1] = redis.call('PTTL', base .. ':e:' .. key)
return {stamp, value, unpack(found)}
"""
)
"""key -> stamp [, value, milliseconds left, tag...]"""

PUT = (
    _BASE
    + """
local key, value, ttl_ms, since = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local size_and_tags = {#key + #value}
for place = 5, #ARGV do size_and_tags[place - 3] = ARGV[place] end
if since then
  if since <= floor() then return 0 end
  local names = {'k:' .. key}
  for place = 2, #size_and_tags do names[place] = 't:' .. size_and_tags[place] end
  for _, name in ipairs(names) do
    local moment = redis.call('ZSCORE', marks, name)
    if moment and tonumber(moment) >= since then return 0 end
  end
end
tidy(20)
local before = redis.call('GET', base .. ':e:' .. key)
if before and before ~= value then mark('k:' .. key) end
drop(key)
redis.call('SET', base .. ':e:' .. key, value, 'PX', ttl_ms)
redis.call('HSET', about, key, cmsgpack.pack(size_and_tags))
redis.call('ZADD', index, text(math.floor(micros / 1000) + ttl_ms), key)
redis.call('HINCRBY', state, 'bytes', size_and_tags[1])
for place = 2, #size_and_tags do redis.call('SADD', base .. ':t:' .. size_and_tags[place], key) end
return 1
"""
)
"""key, value, milliseconds, stamp or "", tag... -> 1, or 0 when something was forgotten since the stamp."""

DELETE = (
    _BASE
    + """
mark('k:' .. ARGV[1])
return drop(ARGV[1])
"""
)
"""key -> how many were dropped."""

INVALIDATE = (
    _BASE
    + """
local most, dropped, taken = tonumber(ARGV[1]), 0, 0
if ARGV[2] == 'first' then
  for place = 3, #ARGV do mark('t:' .. ARGV[place]) end
end
for place = 3, #ARGV do
  local keys = redis.call('SPOP', base .. ':t:' .. ARGV[place], most - taken)
  for _, key in ipairs(keys) do dropped = dropped + drop(key) end
  taken = taken + #keys
  if taken >= most then break end
end
return {dropped, taken}
"""
)
"""most, "first" or "again", tag... -> values dropped, keys looked at: below `most` when nothing is left.

All tags are marked by the first run, before anything is dropped, so that the following runs may take their time.
"""

CLEAR = (
    _BASE
    + """
if ARGV[2] == 'first' then
  local moment = text(next_moment())
  redis.call('HSET', state, 'floor', moment, 'moment', moment)
  redis.call('DEL', marks)
end
local keys = redis.call('ZRANGE', index, 0, tonumber(ARGV[1]) - 1)
for _, key in ipairs(keys) do drop(key) end
return #keys
"""
)
"""most, "first" or "again" -> keys dropped."""

USAGE = (
    _BASE
    + """
tidy(1000)
return {redis.call('ZCARD', index), tonumber(redis.call('HGET', state, 'bytes') or 0)}
"""
)
"""-> entries, bytes."""

CHANGES = (
    _BASE
    + """
local since, lowest, latest = tonumber(ARGV[1]), floor(), tonumber(redis.call('HGET', state, 'moment') or 0)
local until_moment = text(math.max(latest, lowest))
if not since or since < lowest then return {until_moment, 'all'} end
if since >= latest then return {until_moment} end
if redis.call('ZCOUNT', marks, '(' .. text(since), '+inf') > 5000 then return {until_moment, 'all'} end
return {until_moment, 'some', unpack(redis.call('ZRANGE', marks, '(' .. text(since), '+inf', 'BYSCORE'))}
"""
)
"""moment or "" -> moment [, "all" or "some", mark...]. Whoever missed more than five thousand marks is told "all"."""
