-- Grant up to `want` permits. ARGV: now, spec, priority, want.
-- Returns reason, ms to wait, factor, permit ids …

local now = clock(ARGV[1])
local state = load_state()
local rule = rule_of(ARGV[2], state.limits)
local priority, want = tonumber(ARGV[3]), tonumber(ARGV[4])

if not state.epoch or state.kept < rule.longest then
  return { 'unknown', ms(LOOK_AGAIN_MS), tostring(state.factor) }
end

-- What no window counts any more is forgotten, a bounded part at a time.
local function forget(key)
  local old = redis.call('ZCOUNT', key, '-inf', '(' .. ms(now - state.kept))
  if old > 0 then redis.call('ZREMRANGEBYRANK', key, 0, math.min(old, PURGE_AT_ONCE) - 1) end
end
forget(KEYS[2])
forget(KEYS[3])

refill(state, rule, now)
fade_demand(state, rule, now)
local n, wait, reason, full_until, full_cap = decide(state, rule, now, priority, want)
local factor = string.format('%.17g', state.factor)

if n < 1 then
  if full_until and full_until > state.full_until then
    redis.call('HSET', KEYS[1], 'tokens', ms(math.min(state.tokens, full_cap)), 'filled_at', ms(now),
      'full_until', ms(full_until), 'full_cap', ms(full_cap))
  end
  return { reason, ms(wait), factor }
end

local answer, calls, flight = { 'granted', '0', factor }, {}, {}
local last = redis.call('HINCRBY', KEYS[1], 'granted', n)
local lease_ends = ms(now + rule.lease)
local seen_by = rule.arrival > 0 and ms(now + math.min(rule.arrival, rule.lease)) or lease_ends
for i = 1, n do
  local permit = state.epoch .. '-' .. string.format('%.0f', last - n + i)
  answer[3 + i] = permit
  calls[2 * i - 1], calls[2 * i] = seen_by, permit
  flight[2 * i - 1], flight[2 * i] = lease_ends, permit
end
redis.call('ZADD', KEYS[2], unpack(calls))
redis.call('ZADD', KEYS[3], unpack(flight))
if priority == 0 then state.urgent = state.urgent + n end
if priority == 3 then state.high = state.high + n end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', state.tokens - n), 'filled_at', ms(now),
  'granted_at', ms(now), 'demand_urgent', ms(state.urgent), 'demand_high', ms(state.high),
  'demand_at', ms(now))
return answer
