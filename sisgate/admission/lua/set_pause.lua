-- Pause. ARGV: the end in ms since 1970, or 'inf'.

return redis.call('HSET', KEYS[1], 'paused_until', ARGV[1])
