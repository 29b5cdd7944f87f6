-- The limiter's rules. Every script of this folder that decides something includes them.
--
-- KEYS of every script: 1 the state hash, 2 the calls, 3 the calls in flight.
-- `calls` scores each permit with the last moment (ms) at which the provider may have seen its
-- call: the completion once that is known, before that the end of its lease. `flight` scores each
-- running permit with the end of its lease. Times are milliseconds with three decimals.

local LOOK_AGAIN_MS = 1000
local CONCURRENCY_POLL_MS = 50
local STANDING_PART, STANDING_MOST = 0.03, 0.003
local PURGE_EVERY = 32
local ROUNDING_TOKENS = 1e-6
local TICK_MS = 0.001

local function ms(number)
  return number == 0 and '0' or string.format('%.3f', number)
end

-- The ms now, by the given clock if there is one, and what `TIME` says.
local function clock(given)
  local time = redis.call('TIME')
  return given ~= '' and tonumber(given) or time[1] * 1000 + time[2] / 1000, time
end

-- The windows in force (an override beats the specification) and what follows from them.
local function rule_of(spec_json, override_json)
  local rule = cjson.decode(spec_json)
  if override_json then rule.windows = cjson.decode(override_json) end
  rule.longest = 0
  for _, window in ipairs(rule.windows) do
    local rate = window[1] / window[2]
    rule.longest = math.max(rule.longest, window[2])
    if not rule.rate or rate < rule.rate then rule.rate, rule.limit = rate, window[1] end
  end
  if rule.rate then
    local burst = rule.burst
    if burst == 0 then burst = math.max(10, math.floor(rule.limit / 10)) end
    rule.burst = math.min(rule.limit, burst)
  end
  return rule
end

-- Tokens that priority may not take: a standing reserve of a bucket costs no throughput.
local function bucket_reserve(rule, priority)
  local share = rule.reserves[tostring(priority)] or 0
  return math.min(rule.burst - 1, math.floor(share * rule.burst))
end

-- The tokens that priority may take, and the ms until there is one.
local function bucket_room(state, rule, priority)
  local room = state.tokens - bucket_reserve(rule, priority) + ROUNDING_TOKENS
  return room, room < 1 and (1 - room) / (rule.rate * state.factor) + TICK_MS or 0
end

local function bucket_wait(state, rule, priority)
  if not rule.rate then return 0 end
  local _, wait = bucket_room(state, rule, priority)
  return wait
end

local function load_state()
  local v = redis.call('HMGET', KEYS[1], 'epoch', 'kept', 'tokens', 'filled_at', 'full_until',
    'full_cap', 'granted_at', 'blocked_until', 'paused_until', 'factor', 'demand_urgent',
    'demand_high', 'demand_at', 'limits', 'granted')
  return {
    epoch = v[1], kept = tonumber(v[2] or 0), tokens = tonumber(v[3] or 0),
    filled_at = tonumber(v[4] or 0), full_until = tonumber(v[5] or 0),
    full_cap = tonumber(v[6] or 0), granted_at = tonumber(v[7] or 0),
    blocked_until = tonumber(v[8] or 0), paused_until = v[9], factor = tonumber(v[10] or 1),
    urgent = tonumber(v[11] or 0), high = tonumber(v[12] or 0), demand_at = tonumber(v[13] or 0),
    limits = v[14], granted = tonumber(v[15] or 0),
  }
end

-- Let tokens flow in since the last look. While the window was full only `full_cap` tokens gather:
-- otherwise every burst would come back one period later, and the quiet after it too.
local function refill(state, rule, now)
  if not rule.rate then return end
  local rate, from = rule.rate * state.factor, state.filled_at
  if state.full_until > from and now > from then
    local till = math.min(state.full_until, now)
    state.tokens = math.max(state.tokens, math.min(state.full_cap, state.tokens + (till - from) * rate))
    from = till
  end
  state.tokens = math.min(rule.burst, state.tokens + math.max(0, now - from) * rate)
  state.filled_at = now
end

-- Whether Redis knows a newer configuration than the asker's, whose limits may be too high.
local function is_stale(key, version)
  return tonumber(redis.call('GET', key) or 0) > tonumber(version)
end

-- What urgent and high work took lately fades with the longest period as its time constant.
local function fade_demand(state, rule, now)
  if state.urgent == 0 and state.high == 0 then return end
  local left = rule.longest > 0 and math.exp(-math.max(0, now - state.demand_at) / rule.longest) or 0
  state.urgent, state.high, state.demand_at = state.urgent * left, state.high * left, now
end

-- Permits of one window that priority leaves free, and the ms after which that may be one fewer.
local function window_reserve(state, rule, priority, limit, period)
  local share = rule.reserves[tostring(priority)] or 0
  local standing = math.floor(math.min(share * STANDING_PART, STANDING_MOST) * limit)
  local demand = 0
  if priority > 0 then demand = state.urgent end
  if priority > 3 then demand = demand + state.high end
  demand = demand * period / rule.longest
  local lately = math.min(math.floor(share * limit), math.floor(demand + 0.5))
  if lately <= standing then return math.min(standing, limit - 1), nil end
  local fades_in = rule.longest * math.log(demand / (lately - 0.5))
  return math.min(lately, limit - 1), fades_in + TICK_MS
end

-- The room in one window, and when there is none: the ms until there could be, and why.
-- A running call could complete now, so its slot could be free one period from now.
local function window_room(state, rule, now, priority, limit, period)
  local since = ms(now - period)
  local used = redis.call('ZCOUNT', KEYS[2], since, '+inf')
  local reserve, fades_in = window_reserve(state, rule, priority, limit, period)
  local room = limit - reserve - used
  if room >= 1 then return room, 0, nil, reserve end
  local slot = redis.call('ZRANGEBYSCORE', KEYS[2], since, '+inf', 'WITHSCORES', 'LIMIT',
    string.format('%d', -room), 1)
  local wait = math.min(tonumber(slot[2]), now) + period - now + TICK_MS
  if limit - used >= 1 then
    return 0, fades_in and math.min(wait, fades_in) or wait, 'reserve', reserve
  end
  return 0, wait, 'window', reserve
end

-- How many of `want` permits priority may have now; if none, the ms until one could exist and why.
-- Also the end of the time for which the window is full, and the tokens that may gather until then.
local function decide(state, rule, now, priority, want)
  local n, wait, reason = want, 0, 'granted'
  local full_until, full_cap
  local function allow(room, room_in, why)
    if room < n then n = math.max(0, math.floor(room)) end
    if room < 1 and room_in >= wait then wait, reason = room_in, why end
  end

  if state.paused_until then
    local left = state.paused_until == 'inf' and LOOK_AGAIN_MS or tonumber(state.paused_until) - now
    if left > 0 then allow(0, left, 'paused') end
  end
  if state.blocked_until > now then allow(0, state.blocked_until - now, 'blocked') end
  if rule.concurrency >= 0 then
    local running = redis.call('ZCOUNT', KEYS[3], '(' .. ms(now), '+inf')
    allow(rule.concurrency - running, CONCURRENCY_POLL_MS, 'concurrency')
  end
  if rule.interval > 0 then
    local next_at = state.granted_at + rule.interval
    if next_at > now then allow(0, next_at - now, 'interval') else allow(1, 0, 'interval') end
  end
  if rule.rate then
    local room, room_in = bucket_room(state, rule, priority)
    allow(room, room_in, 'bucket')
    for _, window in ipairs(rule.windows) do
      local left, left_in, why, kept_back = window_room(state, rule, now, priority, window[1], window[2])
      allow(left, left_in, why)
      if left < 1 and now + left_in > (full_until or 0) then
        local ripple = 2 + rule.rate * 50
        full_until = now + left_in
        full_cap = math.min(rule.burst, bucket_reserve(rule, 9) + kept_back + ripple)
      end
    end
  end
  if n >= 1 then return n, 0, 'granted' end
  return 0, wait, reason, full_until, full_cap
end
