--- @include "rules"
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

-- A permit of a former epoch whose call the ledger did not tell of, or not by its permit: it counts
-- from now. One that is known to have ended counts already.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch or string.match(permit, '^[^-]*') == epoch then return 0 end
return redis.call('ZADD', KEYS[2], 'NX', ms(now), permit)
