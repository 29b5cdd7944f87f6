--- @include "now_ms"
--- @include "lease"
-- Notes a heartbeat by the clock of Redis, and forgets processes that have been silent for long.
-- KEYS: heartbeats (hash), times of the last ones (sorted set), the lease of the watch.
-- ARGV: id, heartbeat as JSON, when silence is forgotten (ms), length of the lease (ms).
-- Returns 1 where this process is the one of the fleet that watches the others, else 0.

local now = now_ms('')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3], 'LIMIT', 0, 100)
for _, id in ipairs(gone) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
return hold(KEYS[3], ARGV[1], ARGV[4]) and 1 or 0
