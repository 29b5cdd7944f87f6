--- @include "rules"
-- Begin an epoch with the calls that the ledger knows. KEYS: 4 the limiters without state.
-- ARGV: now, spec, the provider, when its loss was noticed ('' for any), then for each call three:
-- the ms since the provider may have seen it last (negative: it may yet), the ms that its lease
-- lasts if it is running (else 0), and its permit ('' if not known).
-- Returns 1 if this rebuild was the one that counted.

-- The calls were read for one loss. If another has come since, they may lack the latest.
if ARGV[4] ~= '' and redis.call('HGET', KEYS[4], ARGV[3]) ~= ARGV[4] then return 0 end
redis.call('HDEL', KEYS[4], ARGV[3])

local now = clock(ARGV[1])
local state = load_state()
local rule = rule_of(ARGV[2], state.limits)
if state.epoch and state.kept >= rule.longest then return 0 end

-- Where only a longer window became due, the calls of the shorter time are known already. The
-- minute of overlap makes up for clocks that differ; what it counts twice is on the safe side.
local newest = -math.huge
if state.epoch then
  newest = math.max(0, state.kept - 60000)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ms(now - state.kept))
end
local epoch = state.epoch or string.format('%.0f', now * 1000)

for i = 5, #ARGV, 3 do
  local age, lease, permit = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[i + 2]
  if age <= rule.longest and age >= newest then
    if permit == '' then permit = epoch .. '-k' .. string.format('%.0f', rule.longest) .. '.' .. i end
    if redis.call('ZADD', KEYS[2], 'NX', ms(now - age), permit) == 1 and lease > 0 then
      redis.call('ZADD', KEYS[3], ms(now + lease), permit)
    end
  end
end

if not state.epoch then
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'filled_at', ms(now), 'demand_at', ms(now))
  redis.call('HDEL', KEYS[1], 'full_until', 'full_cap')
  -- When the last grant was is lost: it may have been just now.
  if rule.interval > 0 then redis.call('HSET', KEYS[1], 'granted_at', ms(now)) end
  if rule.rate then
    local lately = redis.call('ZCOUNT', KEYS[2], ms(now - rule.burst / rule.rate), '+inf')
    redis.call('HSET', KEYS[1], 'tokens', math.max(0, rule.burst - lately))
  end
end
redis.call('HSET', KEYS[1], 'kept', ms(rule.longest))
return 1
