--- @include "rules"
--- @include "grant"
-- Grant up to `want` permits. KEYS: also 4 the version of the configuration.
-- ARGV: now, spec, priority, want, the version that the spec is from.
-- Returns reason, ms to wait, factor, permit ids …

if is_stale(KEYS[4], ARGV[5]) then return { 'stale', '0', '1' } end
local now = clock(ARGV[1])
local state = load_state()
local rule = rule_of(ARGV[2], state.limits)
if not settle(state, rule, now) then
  return { 'unknown', ms(LOOK_AGAIN_MS), factor_of(state) }
end
local permits, wait, reason = grant(state, rule, now, tonumber(ARGV[3]), tonumber(ARGV[4]))
return { reason, ms(wait), factor_of(state), unpack(permits) }
