-- Forget delivered messages whose tasks have ended.
-- KEYS: 1 unacked, 2 unacked_index. ARGV: their tags, at least one.

redis.call('ZREM', KEYS[2], unpack(ARGV))
return redis.call('HDEL', KEYS[1], unpack(ARGV))
