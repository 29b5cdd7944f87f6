-- Replace the limits of the whole fleet, or with '' go back to the configured ones.
-- ARGV: windows as JSON. Returns the version.

if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'limits')
else
  redis.call('HSET', KEYS[1], 'limits', ARGV[1])
end
return redis.call('HINCRBY', KEYS[1], 'limits_version', 1)
