"""What the Redis server decides: the rule of a write and of a removal, as Lua over whole batches.

A Lua number holds integers of 53 bits exactly: event times of the years 1684 to 2255. Where two beyond that look equal, and where a
horizon is compared, they are taken as two halves. A script gets at most some thousand keys at once: that is what Lua can hand on as
arguments. An odd sequence is that of a push.
"""

WRITE = """
local count = #KEYS
local exact, lifetime = ARGV[count + 1] == 'exact', ARGV[count + 2]
local header, winners, n, exactly = struct.unpack, {}, 0, 9007199254740992
local horizon, horizon_low = -math.huge, 0
if ARGV[count + 3] ~= '' then horizon, horizon_low = header('>i4I4', ARGV[count + 3]) end
if ARGV[count + 4] ~= '' then
  local now = redis.call('TIME')
  if now[1] * 1000000 + now[2] > tonumber(ARGV[count + 4]) then return -1 end
end
local there = redis.call('MGET', unpack(KEYS))
for i = 1, count do
  local old, new = there[i], ARGV[i]
  local wins = not old
  if old then
    local was, old_run = header('>i8xI4', old, 5)
    local is, run = header('>i8xI4', new, 5)
    wins = is > was or (is == was and run >= old_run)
    if is == was and (is >= exactly or is <= -exactly) then
      local old_high, old_low = header('>i4I4', old, 5)
      local high, low = header('>i4I4', new, 5)
      wins = high > old_high or (high == old_high and (low > old_low or (low == old_low and run >= old_run)))
    end
    if not wins and exact and run > old_run then
      local old_high, old_low = header('>i4I4', old, 5)
      wins = old_run % 2 == 0 or old_high < horizon or (old_high == horizon and old_low <= horizon_low)
    end
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

PUSHED = """
local found = {}
for i, row in ipairs(redis.call('MGET', unpack(KEYS))) do
  if row and struct.unpack('>I4', row, 14) % 2 == 1 then
    found[#found + 1] = i
    found[#found + 1] = row
  end
end
return found
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
