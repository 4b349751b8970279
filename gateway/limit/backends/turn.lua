-- One question of one gateway about one scope: which of those who are next in its line may go now?
-- All that is read and written is done at once, so no two gateways can be given the same place.
--
-- KEYS[1]  hash: what is counted, and which gateway has how much under way
-- KEYS[2]  text: who waits where, and how far each tenant has come (only while somebody waits)
-- KEYS[3]  text: this gateway's last question and its answer
-- ARGV[1]  JSON:
--   op       unique for each question; asked a second time, the first answer is given again
--   me       the gateway
--   meters   {id, "window" or "bucket", limit, seconds, capacity} each
--   items    {tenant, weight, {amount of each meter}} each, in the order in which they shall go
--   waiting  {tenant: {how many wait, weight, {meter's id: amount}}}, the items among them
--   running  calls under way; most: how many may be at the same time everywhere, 0 for no such limit
--   lease    milliseconds for which what this gateway has under way counts without another word of it
--   fixes    {meter, when it was granted, difference} each: estimates that turned out otherwise
--   told     {seconds ago, amount}, ... of each meter: spent by this gateway while it counted alone; false when it did not
--   whole    all that it spent of each meter, counted instead of that when `book` is not the one that is kept here
--   again    whether it was asked before, and nobody knows whether it was heard
--   book     where this gateway's grants were counted so far; empty before the first answer
--   pause    {milliseconds, reason}, or false
-- Answer, JSON: op, ms (the server's time), ok (1 or 0 for each item), wait (milliseconds), by (meter from 1, or 0),
--   why ("limit", "pause", "concurrency", "turn" or ""), paused, reason, used (of each meter), book
local ask = cjson.decode(ARGV[1])
local state, fair, told_before = KEYS[1], KEYS[2], KEYS[3]
local SLOTS, SKEW, GRACE, KEEP = 400, 1.005, 60, 10000
-- While more is asked than a short window holds, it is given out evenly: else all of it goes at one moment, to who asks
-- then, and who comes back a moment later finds nothing. A little faster than it comes in, so that nothing is lost.
-- Who was told to wait for a whole window comes a little after it.
local EVEN_SECONDS, EVEN_FASTER, EVEN_SHARE, EVEN_LATE = 5, 1.25, 0.05, 500
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000

local last = redis.call('GET', told_before)
if last and string.sub(last, 1, #ask.op + 1) == ask.op .. ' ' then return string.sub(last, #ask.op + 2) end

-- A full server refuses this, before anything: once a script has taken something away, Redis lets it write all the rest.
local book = redis.call('HGET', state, 'book') or ask.op
redis.call('HSET', state, 'book', book)

local function text(number) return string.format('%.17g', number) end

-- Meters. A window is a row of slots; one leaves when even its youngest amount is old enough.
local meters = {}
for i, said in ipairs(ask.meters) do
  local meter = {id = said[1], kind = said[2], limit = said[3], seconds = said[4], capacity = said[5], reserved = 0}
  if meter.kind == 'window' then
    meter.slot = meter.seconds * 1000 * SKEW / SLOTS
    meter.now = math.floor(now / meter.slot)
    local found = redis.call('HMGET', state, meter.id .. ':first', meter.id .. ':used', meter.id .. ':full',
      meter.id .. ':even')
    if meter.seconds <= EVEN_SECONDS then
      meter.even_rate = meter.limit / (meter.seconds * 1000) * EVEN_FASTER
      meter.even_most = math.max(1, meter.limit * EVEN_SHARE)
      local full = tonumber(found[3] or 0)
      if now - full < meter.seconds * 1000 + EVEN_LATE then
        meter.even = math.min(meter.even_most, tonumber(found[4] or 0) + math.max(0, now - full) * meter.even_rate)
        meter.was = meter.even
      end
    end
    local first, used = tonumber(found[1] or meter.now - SLOTS), tonumber(found[2] or 0)
    local upto = meter.now - SLOTS - 1
    if first <= upto then
      local names = {}
      for slot = first, math.min(upto, first + 2 * SLOTS) do names[#names + 1] = meter.id .. ':' .. text(slot) end
      for _, amount in ipairs(redis.call('HMGET', state, unpack(names))) do
        if amount then used = used - tonumber(amount) end
      end
      redis.call('HDEL', state, unpack(names))
      if upto > first + 2 * SLOTS then used = 0 end
      first = upto + 1
    end
    meter.first, meter.used = first, math.max(0, used)
  else
    local found = redis.call('HMGET', state, meter.id .. ':level', meter.id .. ':at')
    meter.rate = meter.limit / (meter.seconds * 1000)
    local level, at = tonumber(found[1] or meter.capacity), tonumber(found[2] or now)
    meter.level = math.min(meter.capacity, level + math.max(0, now - at) * meter.rate)
    meter.at = math.max(now, at)
  end
  meters[i] = meter
end

local function take(meter, amount, slot)
  if amount == 0 then return end
  if meter.kind == 'window' then
    if slot < meter.first then return end
    meter.used = math.max(0, meter.used + amount)
    if meter.even then meter.even = math.min(meter.even_most, meter.even - amount) end
    redis.call('HINCRBYFLOAT', state, meter.id .. ':' .. text(slot), text(amount))
  else
    meter.level = math.min(meter.capacity, meter.level - amount)
  end
end

local function missing(meter, amount)
  if meter.kind == 'window' then
    local short = meter.used + meter.reserved + math.min(amount, meter.limit) - meter.limit
    if not meter.even then return short end
    return math.max(short, meter.reserved + math.min(amount, meter.even_most) - meter.even)
  end
  return meter.reserved + math.min(amount, meter.capacity) - meter.level
end

local function wait_for(meter, amount)
  meter.reserved = 0
  local short = missing(meter, amount)
  if short <= 1e-6 then return 0 end
  if meter.kind == 'bucket' then return short / meter.rate end
  local even = 0
  if meter.even_rate then
    even = math.max(0, math.min(amount, meter.even_most) - (meter.even or 0)) / meter.even_rate
    meter.even = meter.even or 0
  end
  short = meter.used + math.min(amount, meter.limit) - meter.limit
  if short <= 1e-6 then return even end
  for begin = meter.first, meter.now, 32 do  -- what leaves first mostly is enough
    local names = {}
    for slot = begin, math.min(begin + 31, meter.now) do names[#names + 1] = meter.id .. ':' .. text(slot) end
    for i, given in ipairs(redis.call('HMGET', state, unpack(names))) do
      short = short - tonumber(given or 0)
      if short <= 1e-6 then return math.max(even, (begin + i + SLOTS) * meter.slot - now) end
    end
  end
  return meter.seconds * 1000
end

-- What was counted may be lost: who was counted in another book is counted anew, and what it corrects is not here.
local is_known = ask.book == book or ask.book == ''
local ok = {}
for i = 1, #ask.items do ok[i] = 0 end
if ask.again and not is_known then ask.items, ask.told, ask.whole = {}, false, false end
local told = ask.whole and ask.book ~= book and ask.whole or ask.told
if told then
  for i, spent in ipairs(told) do
    for _, one in ipairs(spent) do
      take(meters[i], one[2], meters[i].slot and math.floor((now - one[1] * 1000) / meters[i].slot))
    end
  end
end
-- What is less than was thought may be less of what was told just now.
for _, fix in ipairs(ask.fixes) do
  local meter = meters[fix[1]]
  if meter and is_known then take(meter, fix[3], meter.slot and math.floor(fix[2] / meter.slot)) end
end

-- A provider's "wait" holds everybody, wherever it was said.
local found = redis.call('HMGET', state, 'paused', 'reason', 'running')
local paused, reason = tonumber(found[1] or 0), found[2] or ''
if ask.pause and now + ask.pause[1] > paused then
  paused, reason = now + ask.pause[1], ask.pause[2]
  redis.call('HSET', state, 'paused', text(paused), 'reason', reason)
end

-- What runs elsewhere counts as long as its gateway is heard of.
local running = found[3] and cmsgpack.unpack(found[3]) or {}
local elsewhere, changed = 0, false
for name, one in pairs(running) do
  if one[2] < now then
    running[name] = nil
    changed = true
  elseif name ~= ask.me then
    elsewhere = elsewhere + one[1]
  end
end
local room = ask.most > 0 and ask.most - elsewhere - ask.running or math.huge

-- Who waits elsewhere.
local packed = redis.call('GET', fair)
local line = packed and cmsgpack.unpack(packed) or {waits = {}, came = {}}
line.waits[ask.me] = nil
local foreign = {}
for name, wait in pairs(line.waits) do
  if wait[1] < now then
    line.waits[name] = nil
  else
    for tenant, one in pairs(wait[2]) do
      local sum = foreign[tenant]
      if sum then
        sum.left = sum.left + one[1]
      else
        foreign[tenant] = {left = one[1], weight = one[2], amounts = one[3]}
      end
    end
  end
end

local given, why = 0, ''

local function fits(amounts, named)
  if room < 1 then return false, 'concurrency' end
  for i, meter in ipairs(meters) do
    if missing(meter, amounts[named and meter.id or i] or 0) > 1e-6 then return false, 'limit' end
  end
  return true
end

local function go(i)
  for m, amount in ipairs(ask.items[i][3]) do take(meters[m], amount, meters[m].now) end
  ok[i], given, room = 1, given + 1, room - 1
end

local together = next(foreign) ~= nil
if paused > now then
  why = 'pause'
elseif not together then
  for i, item in ipairs(ask.items) do
    local may, what = fits(item[3])
    if not may then why = what break end
    go(i)
  end
else
  -- Start-time fair queueing over all gateways: whose tenant has come least far is next, wherever it waits.
  local came, own, from = {}, {}, math.huge
  for tenant in pairs(foreign) do from = math.min(from, line.came[tenant] and line.came[tenant][1] or math.huge) end
  for i, item in ipairs(ask.items) do
    local mine = own[item[1]]
    if not mine then
      mine = {at = 1, all = ask.waiting[item[1]] and ask.waiting[item[1]][1] or 1, given = 0}
      own[item[1]] = mine
      if line.came[item[1]] then from = math.min(from, line.came[item[1]][1]) end
    end
    mine[#mine + 1] = i
  end
  if from == math.huge then from = 0 end
  local function place(tenant) came[tenant] = math.max(from, line.came[tenant] and line.came[tenant][1] or from) end
  for tenant in pairs(foreign) do place(tenant) end
  for tenant in pairs(own) do place(tenant) end
  for tenant, one in pairs(foreign) do one.all, one.given = one.left, 0 end
  for _ = 1, 1000 do
    local best
    for tenant, at in pairs(came) do
      local mine, theirs = own[tenant], foreign[tenant]
      local waits = (mine and mine[mine.at]) or (theirs and theirs.left > 0)
      if waits and (not best or at < came[best] or (at == came[best] and tenant < best)) then best = tenant end
    end
    if not best then break end
    local mine, theirs = own[best], foreign[best]
    local i = mine and mine[mine.at]
    if i and theirs and theirs.left > 0 and mine.given * theirs.all > theirs.given * mine.all then i = nil end
    local may, what
    if i then
      may, what = fits(ask.items[i][3])
      if not may then why = what break end
      go(i)
      mine.at, mine.given = mine.at + 1, mine.given + 1
      came[best] = came[best] + ask.items[i][2]
      line.came[best] = {came[best], now}
      if given == #ask.items then break end
    else
      may, what = fits(theirs.amounts, true)
      if not may then why = what break end
      for _, meter in ipairs(meters) do meter.reserved = meter.reserved + (theirs.amounts[meter.id] or 0) end
      theirs.left, theirs.given, room = theirs.left - 1, theirs.given + 1, room - 1
      came[best] = came[best] + theirs.weight
    end
  end
  -- Nobody saves up: who waits starts at least where the others are by now.
  for tenant, at in pairs(came) do
    if not line.came[tenant] then line.came[tenant] = {from, now} end
    line.came[tenant][1] = math.max(line.came[tenant][1], from)
    line.came[tenant][2] = now
  end
end

local wait, by = 0, 0
if given < #ask.items then
  if why == 'pause' then
    wait = paused - now
  elseif why == 'concurrency' then
    wait = 20
  else
    for i = 1, #ask.items do
      if ok[i] == 0 then
        for m, amount in ipairs(ask.items[i][3]) do
          local seconds = wait_for(meters[m], amount)
          if seconds > wait then wait, by, why = seconds, m, 'limit' end
        end
        break
      end
    end
    if wait == 0 then wait, why = 2, 'turn' end  -- what is free is others', who come for it within moments
  end
  wait = math.min(wait, 1000)
end

-- Leave word.
local left, waits = false, {}
for tenant, one in pairs(ask.waiting) do
  local n = one[1]
  for i, item in ipairs(ask.items) do
    if ok[i] == 1 and item[1] == tenant then n = n - 1 end
  end
  if n > 0 then
    waits[tenant] = {n, one[2], one[3]}
    left = true
  end
end
if left then line.waits[ask.me] = {now + wait + GRACE, waits} end
if next(line.waits) then
  for tenant, one in pairs(line.came) do
    if one[2] < now - KEEP then line.came[tenant] = nil end
  end
  redis.call('SET', fair, cmsgpack.pack(line), 'PX', 30000)
elseif packed then
  redis.call('DEL', fair)
end

local most_seconds = 60
for i, meter in ipairs(meters) do
  if meter.kind == 'window' then
    redis.call('HSET', state, meter.id .. ':first', text(meter.first), meter.id .. ':used', text(meter.used))
    if by == i then
      redis.call('HSET', state, meter.id .. ':full', text(now), meter.id .. ':even', text(meter.even or 0))
    elseif meter.even then
      -- As of the last time that somebody had to wait: `full` and `even` are of one moment.
      redis.call('HINCRBYFLOAT', state, meter.id .. ':even', text(meter.even - meter.was))
    end
  else
    redis.call('HSET', state, meter.id .. ':level', text(meter.level), meter.id .. ':at', text(meter.at))
  end
  most_seconds = math.max(most_seconds, meter.seconds)
end
if ask.most > 0 or changed then
  local mine = ask.running + given
  running[ask.me] = mine > 0 and {mine, now + ask.lease} or nil
  redis.call('HSET', state, 'running', cmsgpack.pack(running))
end

local used = {}
for i, meter in ipairs(meters) do
  used[i] = meter.kind == 'window' and meter.used or meter.capacity - meter.level
end
if #used == 0 then used = cjson.decode('[]') end
local answer = cjson.encode({
  op = ask.op, ms = now, ok = #ok > 0 and ok or cjson.decode('[]'), wait = wait, by = by, why = why,
  paused = math.max(0, paused - now), reason = reason, used = used, book = book,
})
-- Who did not hear it asks again when it can; the others count on without it meanwhile.
redis.call('SET', told_before, ask.op .. ' ' .. answer, 'PX', 120000)
redis.call('PEXPIRE', state, math.ceil(most_seconds * 2000 + 60000))
return answer
