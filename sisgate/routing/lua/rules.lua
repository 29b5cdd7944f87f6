--- @include "now_ms"
-- What endpoints have shown of themselves. Every script of this folder includes this.
--
-- KEYS: 1 a hash: the turn, and JSON by endpoint; 2 … the running calls of each endpoint, scored
-- with the end of their lease.
-- ARGV: 1 the time in ms ('' for the time of Redis), 2 the specification, 3 the endpoints as a
-- JSON array in the order of the keys.

local BUCKETS = 6

local now = now_ms(ARGV[1])
local spec, endpoints = cjson.decode(ARGV[2]), cjson.decode(ARGV[3])

local function read(json)
  local seen = json and cjson.decode(json) or {}
  seen.window, seen.ejections = seen.window or {}, seen.ejections or 0
  seen.ejected_until, seen.checks = seen.ejected_until or 0, seen.checks or 0
  return seen
end

local function load(endpoint)
  local seen = read(redis.call('HGET', KEYS[1], 'endpoint:' .. endpoint))
  -- Ejections count in a row until there was none for a while.
  if now - seen.ejected_until > spec.forgive then seen.ejections = 0 end
  -- Nobody checks it any more: what was found then must not keep it out for ever.
  if seen.unwell and now > (seen.check_until or 0) then
    seen.unwell, seen.checks, seen.well_at = nil, 0, seen.check_until or now
  end
  return seen
end

local function save(endpoint, seen)
  if #seen.window == 0 then seen.window = nil end
  redis.call('HSET', KEYS[1], 'endpoint:' .. endpoint, cjson.encode(seen))
end

local function place_of(endpoint)
  for i, name in ipairs(endpoints) do
    if name == endpoint then return i end
  end
  error('no such endpoint')
end

local function bucket_now()
  return math.floor(now * BUCKETS / spec.window)
end

local function totals(seen)
  local recent, calls, failures = {}, 0, 0
  for _, bucket in ipairs(seen.window) do
    if bucket[1] > bucket_now() - BUCKETS then
      recent[#recent + 1] = bucket
      calls, failures = calls + bucket[2], failures + bucket[3]
    end
  end
  seen.window = recent
  return calls, failures
end

-- The peak EWMA, which fades while nothing is seen, so that an endpoint is tried again.
local function latency(seen)
  if not seen.latency then return nil end
  return seen.latency * math.exp(-math.max(0, now - seen.latency_at) / spec.decay)
end

local function is_out(seen)
  return seen.ejected_until > now or seen.unwell or false
end
