"""What the Redis server decides: the rule of a write and of a removal, as Lua over whole batches.

An event time is compared as two halves, since a Lua number holds no 64-bit integer exactly.
"""

WRITE = """
local count = #KEYS
local exact = ARGV[count + 1] == 'exact'
local lifetime = ARGV[count + 2]
local unpack_header = struct.unpack
local taken = 0
local chunk = 1000
for first = 1, count, chunk do
  local last = math.min(first + chunk - 1, count)
  local there = redis.call('MGET', unpack(KEYS, first, last))
  local winners, n = {}, 0
  for i = first, last do
    local old, new = there[i - first + 1], ARGV[i]
    local wins = not old
    if old then
      local old_high, old_low, old_run = unpack_header('>i4I4xI4', old, 5)
      local high, low, run = unpack_header('>i4I4xI4', new, 5)
      if exact and run > old_run then wins = true
      elseif high ~= old_high then wins = high > old_high
      elseif low ~= old_low then wins = low > old_low
      else wins = run >= old_run end
    end
    if wins then
      winners[n + 1] = KEYS[i]
      winners[n + 2] = new
      n = n + 2
    end
  end
  if n > 0 then
    if lifetime == '' then
      redis.call('MSET', unpack(winners, 1, n))
    else
      for i = 1, n, 2 do
        local high, low = struct.unpack('>i4I4', winners[i + 1], 5)
        local millis = math.floor((high * 4294967296 + low) / 1000) + lifetime
        redis.call('SET', winners[i], winners[i + 1], 'PXAT', string.format('%.0f', math.max(millis, 1)))
      end
    end
  end
  taken = taken + n / 2
end
return taken
"""

REMOVE_OLDER = """
local before = tonumber(ARGV[1])
local rows = redis.call('MGET', unpack(KEYS))
local gone = {}
for i, row in ipairs(rows) do
  if row and struct.unpack('>I4', row, 14) < before then gone[#gone + 1] = KEYS[i] end
end
if #gone == 0 then return 0 end
return redis.call('UNLINK', unpack(gone))
"""
