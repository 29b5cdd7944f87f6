--- @include "now_ms"
-- Notes by the clock of Redis that a reconcile has ended, or why it failed.
-- KEYS: what is known of reconciles (hash). ARGV: reason and code of the failure, empty for none.

local now = now_ms('')
if ARGV[1] == '' then
  redis.call('HSET', KEYS[1], 'done_ms', now)
  redis.call('HDEL', KEYS[1], 'reason', 'code')
else
  redis.call('HSET', KEYS[1], 'reason', ARGV[1], 'code', ARGV[2])
end
