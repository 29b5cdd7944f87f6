--- @include "rules"
-- A call begins. ARGV: …, endpoint, its token, the ms of its lease.

local key = KEYS[place_of(ARGV[4]) + 1]
redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
redis.call('ZADD', key, string.format('%.0f', now + tonumber(ARGV[6])), ARGV[5])
redis.call('PEXPIRE', key, string.format('%.0f', 2 * tonumber(ARGV[6])))
return 1
