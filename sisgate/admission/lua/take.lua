-- Grant up to `want` permits. ARGV: now, spec, priority, want.
-- Returns reason, ms to wait, factor, permit ids …

local now = clock(ARGV[1])
local state = load_state()
local rule = rule_of(ARGV[2], state.limits)
local priority, want = tonumber(ARGV[3]), tonumber(ARGV[4])

if not state.epoch or state.kept < rule.longest then
  return { 'unknown', ms(LOOK_AGAIN_MS), tostring(state.factor) }
end

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

-- Now and then, what no window counts any more is forgotten: more of it than was added since.
if last % PURGE_EVERY < n then
  local before = '(' .. ms(now - state.kept)
  for key = 2, 3 do
    local old = redis.call('ZCOUNT', KEYS[key], '-inf', before)
    if old > 0 then
      redis.call('ZREMRANGEBYRANK', KEYS[key], 0, math.min(old, 4 * math.max(n, PURGE_EVERY)) - 1)
    end
  end
end

-- Only what is read again is written: writing is the larger part of the cost of a decision.
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', state.tokens - n), 'filled_at', ms(now))
if rule.interval > 0 then redis.call('HSET', KEYS[1], 'granted_at', ms(now)) end
if priority <= 3 then
  local field = priority == 0 and 'urgent' or 'high'
  state[field] = state[field] + n
  redis.call('HSET', KEYS[1], 'demand_urgent', ms(state.urgent), 'demand_high', ms(state.high),
    'demand_at', ms(now))
end
return answer
