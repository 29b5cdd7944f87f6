--- @include "rules"
-- Eject an endpoint. ARGV: …, endpoint, the ejections on which that was decided, ms, the most that
-- may be ejected at once. Returns 1 if it was: of many who decide the same only the first does it.

local endpoint, out = ARGV[4], 0
for _, name in ipairs(endpoints) do
  if is_out(load(name)) then out = out + 1 end
end
local seen = load(endpoint)
if is_out(seen) or seen.ejections ~= tonumber(ARGV[5]) or out >= tonumber(ARGV[7]) then return 0 end
seen.ejections, seen.ejected_until, seen.window = seen.ejections + 1, now + tonumber(ARGV[6]), {}
save(endpoint, seen)
return 1
