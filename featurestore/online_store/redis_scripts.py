"""What the Redis server decides: the rule of a write and of a removal, as Lua over whole batches.

An event time is compared as two halves, since a Lua number holds no 64-bit integer exactly. A script gets at most some thousand keys
at once: that is what Lua can hand on as arguments. An odd sequence is that of a push.
"""

WRITE = """
local count = #KEYS
local exact, lifetime = ARGV[count + 1] == 'exact', ARGV[count + 2]
local header, winners, n = struct.unpack, {}, 0
local horizon, horizon_low = -math.huge, 0
if ARGV[count + 3] ~= '' then horizon, horizon_low = header('>i4I4', ARGV[count + 3]) end
local there = redis.call('MGET', unpack(KEYS))
for i = 1, count do
  local old, new = there[i], ARGV[i]
  local wins = not old
  if old then
    local old_high, old_low, old_run = header('>i4I4xI4', old, 5)
    local high, low, run = header('>i4I4xI4', new, 5)
    wins = high > old_high or (high == old_high and (low > old_low or (low == old_low and run >= old_run)))
      or (exact and run > old_run and (old_run % 2 == 0 or old_high < horizon or (old_high == horizon and old_low <= horizon_low)))
  end
  if wins then
    winners[n + 1] = KEYS[i]
    winners[n + 2] = new
    n = n + 2
  end
end
if n == 0 then return 0 end
redis.call('MSET', unpack(winners, 1, n))
if lifetime ~= '' then
  for i = 1, n, 2 do redis.call('PEXPIRE', winners[i], lifetime) end
end
return n / 2
"""

REMOVE_OLDER = """
local before, pushed_before = tonumber(ARGV[1]), tonumber(ARGV[2])
local horizon, horizon_low = -math.huge, 0
if ARGV[3] ~= '' then horizon, horizon_low = struct.unpack('>i4I4', ARGV[3]) end
local rows = redis.call('MGET', unpack(KEYS))
local gone = {}
for i, row in ipairs(rows) do
  if row then
    local high, low, run = struct.unpack('>i4I4xI4', row, 5)
    local older
    if run % 2 == 0 then
      older = run < before
    else
      older = run < pushed_before and (high < horizon or (high == horizon and low <= horizon_low))
    end
    if older then gone[#gone + 1] = KEYS[i] end
  end
end
if #gone == 0 then return 0 end
return redis.call('UNLINK', unpack(gone))
"""

EXPIRE = """
local first, gap = tonumber(ARGV[1]), tonumber(ARGV[2])
local count = 0
for i, key in ipairs(KEYS) do
  count = count + redis.call('PEXPIRE', key, math.ceil(first + gap * i))
end
return count
"""

EXCHANGE = """
local at = 2
for i = 1, tonumber(ARGV[1]) do
  local there = redis.call('HGET', KEYS[1], ARGV[at])
  if ARGV[at + 1] == '0' then
    if there then return 0 end
  elseif there ~= ARGV[at + 2] then return 0 end
  at = at + 3
end
for i = at, #ARGV, 3 do
  if ARGV[i + 1] == '0' then redis.call('HDEL', KEYS[1], ARGV[i]) else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
end
return 1
"""
