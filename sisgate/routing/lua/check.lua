--- @include "rules"
-- A health check has ended. ARGV: …, endpoint, 1 if it was good, ms for which that holds. Returns
-- 'well', 'unwell' when that changed, else ''. `checks` counts good ones up and bad ones down, in a
-- row.

local endpoint, good = ARGV[4], ARGV[5] == '1'
local seen = load(endpoint)
if good then seen.checks = math.max(0, seen.checks) + 1 else seen.checks = math.min(0, seen.checks) - 1 end
local answer = ''
seen.checked_at, seen.check_until = now, now + tonumber(ARGV[6])
if seen.unwell and seen.checks >= spec.rise then
  seen.unwell, seen.well_at, answer = nil, now, 'well'
elseif not seen.unwell and seen.checks <= -spec.fall then
  seen.unwell, answer = true, 'unwell'
end
save(endpoint, seen)
return answer
