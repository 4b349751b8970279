-- Says that a gateway is there, and counts how many are.
-- KEYS[1], KEYS[2]  sorted sets: who is here, and who has told what it spent alone; by the moment until which that holds
-- ARGV  the gateway; milliseconds for which its word holds; "here", "ready" or "gone"
-- Answer: how many are here, how many are ready, whether this one was known here before
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local until_ms = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
-- What a full server refuses comes first: once a script has taken something away, Redis lets it write all the rest.
if ARGV[3] == 'gone' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
  if ARGV[3] == 'ready' then
    redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
  else
    redis.call('ZREM', KEYS[2], ARGV[1])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
return {redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]), until_ms > now and 1 or 0}
