--- @include "rules"
-- What is known of the endpoints. ARGV: …, 1 to take a turn. Returns JSON.

local turn = ARGV[4] == '1' and redis.call('HINCRBY', KEYS[1], 'turn', 1)
  or tonumber(redis.call('HGET', KEYS[1], 'turn') or 0)
local answer = { turn = turn, endpoints = {} }
for i, endpoint in ipairs(endpoints) do
  local seen = load(endpoint)
  local calls, failures = totals(seen)
  local back_at = math.max(seen.ejected_until, seen.well_at or 0)
  answer.endpoints[i] = {
    url = endpoint, calls = calls, failures = failures, ejections = seen.ejections,
    ejected = is_out(seen), unwell = seen.unwell or false, latency = latency(seen) or -1,
    checked = seen.checked_at and now - seen.checked_at or -1,
    back = back_at > 0 and back_at <= now and now - back_at or -1,
    in_flight = redis.call('ZCOUNT', KEYS[i + 1], '(' .. string.format('%.0f', now), '+inf'),
  }
end
return cjson.encode(answer)
