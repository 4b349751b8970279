-- A board on which gateways leave notes for one another. No clock counts but the server's.
-- KEYS[1]  hash: name -> "left at, holds until, note"
-- ARGV[1]  JSON: put {name, note, milliseconds for which it holds, 1 to renew: only when it is there} each;
--   drop {name} each; since: give only what was left from then on; op: given back
-- Answer: op, the server's time, then name, milliseconds since it was left, 1 while it holds, and the note, for each
local KEPT, MOST = 60000, 1000
local ask = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- What a full server refuses comes first, so that all of it is refused.
local size = redis.call('HLEN', KEYS[1])
for _, one in ipairs(ask.put) do
  local there = redis.call('HEXISTS', KEYS[1], one[1]) == 1
  if there or (one[4] == 0 and size < MOST) then
    if not there then size = size + 1 end
    redis.call('HSET', KEYS[1], one[1], string.format('%d %d %s', now, now + one[3], one[2]))
  end
end
if #ask.put > 0 then redis.call('PEXPIRE', KEYS[1], 7200000) end
for _, name in ipairs(ask.drop) do redis.call('HDEL', KEYS[1], name) end
local found, all = {ask.op, now}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at, upto, note = string.match(all[i + 1], '^(%d+) (%d+) (.*)$')
  at, upto = tonumber(at), tonumber(upto)
  if not at or upto + KEPT < now then
    redis.call('HDEL', KEYS[1], all[i])
  elseif at >= ask.since then
    found[#found + 1] = {all[i], now - at, upto >= now and 1 or 0, note}
  end
end
return cjson.encode(found)
