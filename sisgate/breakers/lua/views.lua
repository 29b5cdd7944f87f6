--- @include "rules"
-- What is known of the breakers; changes nothing. ARGV: … Returns JSON: one object an endpoint.

local views = {}
for i, json in ipairs(redis.call('HMGET', KEYS[1], unpack(endpoints))) do
  local breaker = settle(read(json))
  local wait, pinned = wait_ms(breaker), breaker.pin_until
  local calls, failures, slow = totals(breaker)
  views[i] = {
    endpoint = endpoints[i], state = breaker.state, generation = breaker.generation,
    wait = wait >= FOREVER_MS / 2 and -1 or wait, row = breaker.failures,
    openings = breaker.openings, calls = calls, failures = failures, slow = slow,
    pinned = pinned and true or false,
    pin_until = pinned and pinned < FOREVER_MS and pinned or -1,
    changed = breaker.changed_at > 0 and breaker.changed_at or -1,
    closed = breaker.state == 'closed' and breaker.closed_at > 0 and now - breaker.closed_at or -1,
  }
end
return cjson.encode(views)
