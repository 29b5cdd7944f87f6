--- @include "rules"
-- Write the probe gate anew from the breakers: what was taken as a probe turned out to be none, or
-- the endpoints are others. ARGV: … Returns 1 if there is a gate.

return write_gate()
