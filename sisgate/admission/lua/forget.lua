-- Forget fields of the state. ARGV: fields.

return redis.call('HDEL', KEYS[1], unpack(ARGV))
