--- @include "rules"
-- May a call be made? ARGV: …, endpoint. Returns JSON.

local endpoint = ARGV[4]
local breaker = load(endpoint)
local answer = { state = breaker.state, wait = wait_ms(breaker), probe = 0 }

if breaker.state == 'closed' then
  answer.generation = breaker.generation
  -- A gate that outlived its reason (the endpoints were others) goes with the first call.
  if redis.call('EXISTS', KEYS[2]) == 1 then write_gate() end
elseif answer.wait <= 0 then
  if breaker.state == 'open' then move(breaker, 'half-open', 'due') end
  breaker.probe, breaker.probe_until = breaker.probe + 1, now + spec.probe_lease
  answer.state, answer.generation, answer.probe = breaker.state, breaker.generation, breaker.probe
end
if #changes > 0 or answer.probe > 0 then save(endpoint, breaker) end
answer.changes = changes
return cjson.encode(answer)
