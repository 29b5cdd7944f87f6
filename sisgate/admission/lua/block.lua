--- @include "rules"
-- Grant nothing for a time; a longer block in force stays. ARGV: now, ms, reason.

local until_ms = clock(ARGV[1]) + tonumber(ARGV[2])
if until_ms <= tonumber(redis.call('HGET', KEYS[1], 'blocked_until') or 0) then return 0 end
redis.call('HSET', KEYS[1], 'blocked_until', ms(until_ms), 'block_reason', ARGV[3])
return 1
