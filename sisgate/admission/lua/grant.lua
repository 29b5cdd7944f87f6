-- Granting, for the scripts that take permits. Stands behind the rules.

-- Bring the state up to now; false while it knows too little to grant anything.
local function settle(state, rule, now)
  if not state.epoch or state.kept < rule.longest then return false end
  refill(state, rule, now)
  fade_demand(state, rule, now)
  return true
end

-- Now and then, what no window counts any more is forgotten: more of it than was added since.
local function forget(state, now, last, n)
  if last % PURGE_EVERY >= n then return end
  local before = '(' .. ms(now - state.kept)
  for key = 2, 3 do
    local old = redis.call('ZCOUNT', KEYS[key], '-inf', before)
    if old > 0 then
      redis.call('ZREMRANGEBYRANK', KEYS[key], 0, math.min(old, 4 * math.max(n, PURGE_EVERY)) - 1)
    end
  end
end

-- Grant up to `want` permits of a settled state: the permits, and if there are none the ms to wait
-- and why.
local function grant(state, rule, now, priority, want)
  local n, wait, reason, full_until, full_cap = decide(state, rule, now, priority, want)
  if n < 1 then
    if full_until and full_until > state.full_until then
      redis.call('HSET', KEYS[1], 'tokens', ms(math.min(state.tokens, full_cap)), 'filled_at', ms(now),
        'full_until', ms(full_until), 'full_cap', ms(full_cap))
    end
    return {}, wait, reason
  end
  local permits, calls, flight = {}, {}, {}
  local last = state.granted + n
  local lease_ends = ms(now + rule.lease)
  local seen_by = rule.arrival > 0 and ms(now + math.min(rule.arrival, rule.lease)) or lease_ends
  for i = 1, n do
    permits[i] = state.epoch .. '-' .. last - n + i
    calls[2 * i - 1], calls[2 * i] = seen_by, permits[i]
    flight[2 * i - 1], flight[2 * i] = lease_ends, permits[i]
  end
  redis.call('ZADD', KEYS[2], unpack(calls))
  redis.call('ZADD', KEYS[3], unpack(flight))
  forget(state, now, last, n)
  state.tokens, state.granted, state.granted_at = state.tokens - n, last, now
  -- Only what is read again is written: writing is the larger part of the cost of a decision.
  redis.call('HSET', KEYS[1], 'granted', last, 'tokens', string.format('%.9f', state.tokens),
    'filled_at', ms(now))
  if rule.interval > 0 then redis.call('HSET', KEYS[1], 'granted_at', ms(now)) end
  if priority <= 3 then
    local field = priority == 0 and 'urgent' or 'high'
    state[field] = state[field] + n
    redis.call('HSET', KEYS[1], 'demand_urgent', ms(state.urgent), 'demand_high', ms(state.high),
      'demand_at', ms(now))
  end
  return permits, 0, 'granted'
end

local function factor_of(state)
  return state.factor == 1 and '1' or string.format('%.17g', state.factor)
end
