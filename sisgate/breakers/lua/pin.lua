--- @include "rules"
-- Fix the state of one endpoint's breaker, or let traffic move it again. ARGV: …, endpoint, state
-- ('auto' ends the pin), the end in ms since 1970 ('' for none). Returns JSON.

local endpoint, state = ARGV[4], ARGV[5]
local breaker = load(endpoint)
if state == 'auto' then
  unpin(breaker, 'unpinned')
else
  move(breaker, state, 'pinned')
  breaker.pin_until = ARGV[6] == '' and FOREVER_MS or tonumber(ARGV[6])
end
save(endpoint, breaker)
return cjson.encode({ state = breaker.state, changes = changes })
