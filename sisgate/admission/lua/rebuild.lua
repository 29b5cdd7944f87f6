-- Begin an epoch with the calls that the ledger knows. ARGV: now, spec, age …
-- An age is the ms since the provider may have seen the call last; of a running call it is
-- negative, the ms that its lease lasts. Returns 1 if this rebuild was the one that counted.

local now = clock(ARGV[1])
local state = load_state()
local rule = rule_of(ARGV[2], state.limits)
if state.epoch and state.kept >= rule.longest then return 0 end

-- Where only a longer window became due, the calls of the shorter time are known already. The
-- minute of overlap makes up for clocks that differ; what it counts twice is on the safe side.
local newest = state.epoch and math.max(0, state.kept - 60000) or -math.huge
local epoch = state.epoch or string.format('%.0f', now * 1000)
local running = 0

for i = 3, #ARGV do
  local age = tonumber(ARGV[i])
  if age <= rule.longest and age >= newest then
    local permit = epoch .. '-k' .. string.format('%.0f', rule.longest) .. '.' .. i
    if age < 0 then
      running = running + 1
      permit = epoch .. '-r' .. running
      redis.call('ZADD', KEYS[3], ms(now - age), permit)
    end
    redis.call('ZADD', KEYS[2], ms(now - age), permit)
  end
end

if not state.epoch then
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'orphans', running, 'filled_at', ms(now),
    'demand_at', ms(now))
  redis.call('HDEL', KEYS[1], 'full_until', 'full_cap', 'granted_at')
  if rule.rate then
    local lately = redis.call('ZCOUNT', KEYS[2], ms(now - rule.burst / rule.rate), '+inf')
    redis.call('HSET', KEYS[1], 'tokens', math.max(0, rule.burst - lately))
  end
end
redis.call('HSET', KEYS[1], 'kept', ms(rule.longest))
return 1
