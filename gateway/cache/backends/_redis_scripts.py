"""What is done inside Redis, each in one piece, so that several gateways share one cap.

Every script is given the same keys::

    KEYS[1]  hash    "bytes": what all entries count; "uses": a counter; "=" and a key: what the entry is of (`About`)
    KEYS[2]  zset    key by its last use
    KEYS[3]  zset    key by the time to which it is kept
    KEYS[4]  zset    key by when it was stored
    KEYS[5]          what stands before a key in the name of its answer

An answer whose entry is gone, because Redis made room or a part was lost, is a miss, and vanishes by its time to live.
Nothing here needs more than Redis 4.
"""

STEP = 500
"""As many entries go in one piece: everybody waits for a script."""

_DROP = """
local function drop(key)
  local about = redis.call('HGET', KEYS[1], '=' .. key)
  redis.call('UNLINK', KEYS[5] .. key)
  redis.call('ZREM', KEYS[2], key)
  redis.call('ZREM', KEYS[3], key)
  redis.call('ZREM', KEYS[4], key)
  if not about then return 0 end
  redis.call('HDEL', KEYS[1], '=' .. key)
  local size = tonumber(string.match(about, '^%d+') or 0)
  if size < 2^53 then redis.call('HINCRBY', KEYS[1], 'bytes', 0 - size) end
  return 1
end
"""

# ARGV: key, now. Gives {about, answer}. A full server and a replica refuse the note of use, and still answer.
GET = (
    _DROP
    + """
local about = redis.call('HGET', KEYS[1], '=' .. ARGV[1])
if not about then return false end
local kept = tonumber(redis.call('ZSCORE', KEYS[3], ARGV[1]) or '-inf')
if kept <= tonumber(ARGV[2]) then return false end
local answer = redis.pcall('GET', KEYS[5] .. ARGV[1])
if answer == false then
  drop(ARGV[1])
  return false
end
if type(answer) == 'table' then answer = '' end
local uses = redis.pcall('HINCRBY', KEYS[1], 'uses', 1)
if type(uses) == 'number' then redis.pcall('ZADD', KEYS[2], uses, ARGV[1]) end
return {about, answer}
"""
)

# ARGV: key, answer, milliseconds to live, about, size, kept until, stored at, cap, step.
# Gives 1 when it is stored, 0 when it is larger than all room, -1 when more has to go first: ask again.
# The first thing written is one that a full server refuses, so that all of it is refused.
PUT = (
    _DROP
    + """
local uses = redis.call('HINCRBY', KEYS[1], 'uses', 1)
drop(ARGV[1])
local size, cap, left = tonumber(ARGV[5]), tonumber(ARGV[8]), tonumber(ARGV[9])
if size > cap then return 0 end
while tonumber(redis.call('HGET', KEYS[1], 'bytes') or 0) + size > cap do
  local last = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not last then
    redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
    break
  end
  if left == 0 then return -1 end
  left = left - 1
  drop(last)
end
redis.call('SET', KEYS[5] .. ARGV[1], ARGV[2], 'PX', ARGV[3])
redis.call('HSET', KEYS[1], '=' .. ARGV[1], ARGV[4])
redis.call('HINCRBY', KEYS[1], 'bytes', size)
redis.call('ZADD', KEYS[2], uses, ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[6], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[7], ARGV[1])
for number = 1, 4 do
  if redis.call('PTTL', KEYS[number]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[number], ARGV[3]) end
end
return 1
"""
)

# ARGV: key and about, again and again. Drops those that are still the same; gives how many.
FORGET = (
    _DROP
    + """
local gone = 0
for at = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], '=' .. ARGV[at]) == ARGV[at + 1] then gone = gone + drop(ARGV[at]) end
end
return gone
"""
)

# ARGV: now, step. Drops what is over; gives how many, and whether there may be more.
SWEEP = (
    _DROP
    + """
local over = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
local gone = 0
for _, key in ipairs(over) do gone = gone + drop(key) end
return {gone, #over == tonumber(ARGV[2]) and 1 or 0}
"""
)

# Gives {key, about, answer} of what was stored last; the answer may be missing.
NEWEST = """
local key = redis.call('ZREVRANGE', KEYS[4], 0, 0)[1]
if not key then return false end
local answer = redis.pcall('GET', KEYS[5] .. key)
return {key, redis.call('HGET', KEYS[1], '=' .. key) or '', type(answer) == 'string' and answer or ''}
"""

# Gives {entries, bytes, stored at of the oldest}.
SUMS = """
local oldest = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
return {redis.call('ZCARD', KEYS[2]), tonumber(redis.call('HGET', KEYS[1], 'bytes') or 0), oldest[2] or ''}
"""
