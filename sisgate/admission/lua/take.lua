--- @include "rules"
--- @include "grant"
-- Grant up to `want` permits. ARGV: now, spec, priority, want.
-- Returns reason, ms to wait, factor, permit ids …

local now = clock(ARGV[1])
local state = load_state()
local rule = rule_of(ARGV[2], state.limits)
if not settle(state, rule, now) then
  return { 'unknown', ms(LOOK_AGAIN_MS), factor_of(state) }
end
local permits, wait, reason = grant(state, rule, now, tonumber(ARGV[3]), tonumber(ARGV[4]))
return { reason, ms(wait), factor_of(state), unpack(permits) }
