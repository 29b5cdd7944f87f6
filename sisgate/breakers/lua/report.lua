--- @include "rules"
-- What came of a call. ARGV: …, endpoint, generation, probe, outcome, ms it took, a random number
-- in [0, 1). Returns JSON.

local endpoint, outcome = ARGV[4], ARGV[7]
local generation, probe = tonumber(ARGV[5]), tonumber(ARGV[6])
local slow = tonumber(ARGV[8]) >= spec.slow
local breaker = load(endpoint)

local function open(reason)
  if breaker.state == 'closed' and now - breaker.closed_at >= spec.healthy then breaker.openings = 0 end
  breaker.openings = breaker.openings + 1
  move(breaker, 'open', reason)
  local doubled = spec.open * 2 ^ math.min(breaker.openings - 1, 30)
  local lasts = math.min(spec.open_cap, doubled) * (1 - spec.jitter * tonumber(ARGV[9]))
  breaker.open_until = now + math.floor(lasts)
end

local function count()
  local failed = outcome == 'failure'
  breaker.failures = failed and breaker.failures + 1 or 0
  local calls, failures, slow_calls = totals(breaker)
  local place, last = math.floor(now / spec.bucket), breaker.window[#breaker.window]
  if not last or last[1] ~= place then
    last = { place, 0, 0, 0 }
    breaker.window[#breaker.window + 1] = last
  end
  last[2] = last[2] + 1
  calls = calls + 1
  if failed then last[3], failures = last[3] + 1, failures + 1 end
  if slow then last[4], slow_calls = last[4] + 1, slow_calls + 1 end
  return calls, failures, slow_calls
end

local function after_probe()
  count()
  if outcome == 'failure' then return open('probe_failed') end
  if slow then return open('probe_slow') end
  breaker.successes = breaker.successes + 1
  if breaker.successes >= spec.success_threshold then
    move(breaker, 'closed', 'recovered')
    breaker.closed_at = now
  end
end

local function after_call()
  local calls, failures, slow_calls = count()
  if breaker.failures >= spec.fail_max then return open('failures') end
  if calls < spec.minimum_calls then return end
  if failures >= spec.failure_rate * calls then return open('failure_rate') end
  if slow_calls >= spec.slow_rate * calls then return open('slow_rate') end
end

local counted = false
if generation == breaker.generation then
  if breaker.state == 'half-open' and probe == breaker.probe then
    breaker.probe_until = 0
    counted = not breaker.pin_until and outcome ~= 'neutral'
    if counted then after_probe() end
    save(endpoint, breaker)
  elseif breaker.state == 'closed' and not breaker.pin_until and outcome ~= 'neutral' then
    counted = true
    after_call()
    save(endpoint, breaker)
  end
end
if not counted and #changes > 0 then save(endpoint, breaker) end
return cjson.encode({ state = breaker.state, counted = counted, changes = changes })
