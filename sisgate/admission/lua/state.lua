--- @include "rules"
-- Tell, as JSON, what the limiter knows; changes nothing. ARGV: now, spec.

local now = clock(ARGV[1])
local state = load_state()
local rule = rule_of(ARGV[2], state.limits)
local known = state.epoch and state.kept >= rule.longest
local answer = {
  known = known and true or false, windows = {}, waits = {},
  factor = state.factor, blocked_ms = math.max(0, state.blocked_until - now),
  block_reason = redis.call('HGET', KEYS[1], 'block_reason') or '', paused_until = '',
  overridden = state.limits and true or false,
  in_flight = redis.call('ZCOUNT', KEYS[3], '(' .. ms(now), '+inf'),
}
local paused = state.paused_until
if paused and (paused == 'inf' or tonumber(paused) > now) then answer.paused_until = paused end
refill(state, rule, now)
fade_demand(state, rule, now)
answer.tokens, answer.burst = state.tokens, rule.burst or 0
for i, window in ipairs(rule.windows) do
  answer.windows[i] = { window[1], window[2], redis.call('ZCOUNT', KEYS[2], ms(now - window[2]), '+inf') }
end
for _, priority in ipairs({ 0, 3, 6, 9 }) do
  local _, wait, reason = decide(state, rule, now, priority, 1)
  answer.waits[tostring(priority)] = { known and wait or LOOK_AGAIN_MS, known and reason or 'unknown' }
end
return cjson.encode(answer)
