--- @include "now_ms"
-- The rules of a breaker; tests/breaker_rules.py is a model of them. Every script of this folder
-- includes them.
--
-- KEYS of every script: 1 the provider's breakers, a hash of JSON by endpoint; 2 its probe gate; 3 its
-- journal, a stream of transitions that somebody copies to where they are kept; 4 its counts, a
-- hash: `changes|ENDPOINT|STATE|REASON`.
-- ARGV of every script: 1 the time in ms ('' for the time of Redis), 2 the specification, 3 the
-- endpoints as a JSON array, and then its own. Times are whole milliseconds.
--
-- The probe gate is for those who take messages off the provider's queue. It exists while no breaker
-- of the provider is closed. Before its `until` (ms) nothing is taken; after it one message, and
-- whoever takes it sets `until` to the time at which the next may be taken.

local FOREVER_MS = 9e15
-- Entries that the journal keeps while nobody copies it.
local JOURNAL_LENGTH = 10000

local now, spec = now_ms(ARGV[1]), cjson.decode(ARGV[2])
local endpoints = cjson.decode(ARGV[3])
local changes, journalled = {}, 0

local function read(json)
  local breaker = json and cjson.decode(json) or {}
  breaker.state = breaker.state or 'closed'
  breaker.window = breaker.window or {}
  for _, name in ipairs({ 'generation', 'failures', 'successes', 'openings', 'closed_at',
    'changed_at', 'open_until', 'probe', 'probe_until' }) do
    breaker[name] = breaker[name] or 0
  end
  return breaker
end

local function move(breaker, state, reason)
  changes[#changes + 1] = { breaker.state, state, reason }
  breaker.state, breaker.generation, breaker.changed_at = state, breaker.generation + 1, now
  breaker.successes, breaker.probe_until = 0, 0
  -- What opened it can be seen until it closes.
  if state == 'closed' then breaker.failures, breaker.window = 0, {} end
end

local function unpin(breaker, reason)
  if not breaker.pin_until then return end
  breaker.pin_until = nil
  move(breaker, breaker.state, reason)
  breaker.closed_at, breaker.open_until = now, now
end

local function settle(breaker)
  if breaker.pin_until and breaker.pin_until <= now then unpin(breaker, 'pin_ended') end
  return breaker
end

-- Of a settled breaker.
local function wait_ms(breaker)
  if breaker.state == 'closed' then return 0 end
  if breaker.state == 'half-open' then return math.max(0, breaker.probe_until - now) end
  return math.max(0, (breaker.pin_until or breaker.open_until) - now)
end

local function totals(breaker)
  local oldest = math.floor(now / spec.bucket) - spec.buckets
  local recent, calls, failures, slow = {}, 0, 0, 0
  for _, bucket in ipairs(breaker.window) do
    if bucket[1] > oldest then
      recent[#recent + 1] = bucket
      calls, failures, slow = calls + bucket[2], failures + bucket[3], slow + bucket[4]
    end
  end
  breaker.window = recent
  return calls, failures, slow
end

local function load(endpoint)
  return settle(read(redis.call('HGET', KEYS[1], endpoint)))
end

-- Write the probe gate that follows from all breakers of the provider; return whether there is one.
local function write_gate()
  local opens_at = FOREVER_MS
  for _, json in ipairs(redis.call('HMGET', KEYS[1], unpack(endpoints))) do
    local breaker = read(json)
    if breaker.pin_until and breaker.pin_until <= now then
      breaker.pin_until, breaker.open_until, breaker.probe_until = nil, now, 0
    end
    if breaker.state == 'closed' then
      redis.call('DEL', KEYS[2])
      return 0
    end
    opens_at = math.min(opens_at, now + wait_ms(breaker))
  end
  redis.call('HSET', KEYS[2], 'until', string.format('%.0f', opens_at))
  return 1
end

-- In the same step as the state itself, so that no transition is lost with who made it.
local function journal(endpoint)
  for i = journalled + 1, #changes do
    local before, after, reason = unpack(changes[i])
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', JOURNAL_LENGTH, '*', 'endpoint', endpoint,
      'before', before, 'after', after, 'reason', reason, 'at', string.format('%.0f', now))
    redis.call('HINCRBY', KEYS[4], 'changes|' .. endpoint .. '|' .. after .. '|' .. reason, 1)
  end
  journalled = #changes
end

local function save(endpoint, breaker)
  if #breaker.window == 0 then breaker.window = nil end
  redis.call('HSET', KEYS[1], endpoint, cjson.encode(breaker))
  journal(endpoint)
  -- While one is closed and none changes there is no gate to write.
  if breaker.state ~= 'closed' or #changes > 0 then write_gate() end
end
