"""What has to happen in one step on the Redis server, as Lua. Every script uses keys of one hash slot."""

APPEND = """
for _, fact in ipairs(ARGV) do
  redis.call('XADD', KEYS[1], '*', 'fact', fact)
end
return #ARGV
"""
"""KEYS: stream. ARGV: facts. Adds all, in order, or none."""

HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
"""KEYS: lease. ARGV: member, milliseconds. 1 when the member holds the lease for that long from now on.

Redis refuses a SET when it is out of memory, unless the script has written already: a DEL, which is never refused,
opens the way. Without it nobody could take facts from a server that is full of them.
"""

RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""
"""KEYS: lease. ARGV: member. Gives up a lease, if it is the member's."""

GO_ON = """
if #ARGV > 3 then
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 4))
end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then
  return 0
end
if ARGV[3] ~= '' and redis.call('XPENDING', KEYS[1], ARGV[1])[2] ~= ARGV[3] then
  return 0
end
return 1
"""
"""KEYS: stream, lease. ARGV: group, member, next entry or nothing, entries that were taken. Acknowledges these. 1 when
the member holds the lease and all entries before the next are acknowledged."""

TRIM = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local function is_before(a, b)
  local a_ms, a_count = a:match('^(%d+)-(%d+)$')
  local b_ms, b_count = b:match('^(%d+)-(%d+)$')
  a_ms, a_count, b_ms, b_count = tonumber(a_ms), tonumber(a_count), tonumber(b_ms), tonumber(b_count)
  return a_ms < b_ms or (a_ms == b_ms and a_count < b_count)
end
local needed = nil
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local facts = {}
  for i = 1, #group, 2 do
    facts[group[i]] = group[i + 1]
  end
  local oldest = facts['last-delivered-id']
  if facts['pending'] > 0 then
    oldest = redis.call('XPENDING', KEYS[1], facts['name'])[2]
  end
  if needed == nil or is_before(oldest, needed) then
    needed = oldest
  end
end
if needed then
  return redis.call('XTRIM', KEYS[1], 'MINID', needed)
end
return redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[1])
"""
"""KEYS: stream. ARGV: most entries to keep while there is no group. Removes what every group has acknowledged."""
