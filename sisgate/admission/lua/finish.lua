-- The call of a permit was made. ARGV: now, permit. Returns 1 if that changed something.

local now = clock(ARGV[1])
local permit = ARGV[2]
local lease = redis.call('ZSCORE', KEYS[3], permit)

if lease then
  local seen_by = tonumber(redis.call('ZSCORE', KEYS[2], permit) or now)
  -- A call that outlived its lease counts from its completion all the same.
  if now > tonumber(lease) then seen_by = math.max(seen_by, now) else seen_by = math.min(seen_by, now) end
  redis.call('ZREM', KEYS[3], permit)
  redis.call('ZADD', KEYS[2], ms(seen_by), permit)
  return 1
end

-- A permit of a former epoch. The ledger told `rebuild` of its call as one of the running ones,
-- which one is unknown and does not matter; a call the ledger did not know of is counted now.
local state = redis.call('HMGET', KEYS[1], 'epoch', 'orphans')
if not state[1] or string.match(permit, '^[^-]*') == state[1] then return 0 end
if redis.call('ZSCORE', KEYS[2], permit) then return 0 end
if tonumber(state[2] or 0) > 0 then
  local orphan = state[1] .. '-r' .. state[2]
  redis.call('HINCRBY', KEYS[1], 'orphans', -1)
  if redis.call('ZREM', KEYS[3], orphan) == 1 then
    redis.call('ZREM', KEYS[2], orphan)
  end
end
return redis.call('ZADD', KEYS[2], 'NX', ms(now), permit)
