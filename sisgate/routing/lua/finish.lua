--- @include "rules"
-- A call has ended. ARGV: …, endpoint, its token, outcome, the ms that it took.
-- Only a success teaches the latency: an endpoint that fails at once must not look fast.

local endpoint, outcome, took = ARGV[4], ARGV[6], tonumber(ARGV[7])
redis.call('ZREM', KEYS[place_of(endpoint) + 1], ARGV[5])
if outcome == 'neutral' then return 0 end
local seen = load(endpoint)
totals(seen)
local last = seen.window[#seen.window]
if not last or last[1] ~= bucket_now() then
  last = { bucket_now(), 0, 0 }
  seen.window[#seen.window + 1] = last
end
last[2] = last[2] + 1
if outcome == 'failure' then
  last[3] = last[3] + 1
else
  if not seen.latency or took >= seen.latency then
    seen.latency = took
  else
    local keeps = math.exp(-math.max(0, now - seen.latency_at) / spec.decay)
    seen.latency = seen.latency * keeps + took * (1 - keeps)
  end
  seen.latency_at = now
end
save(endpoint, seen)
return 1
