-- A permit was not used: as if it had never been granted. ARGV: permit. Returns 1 if it was open.

if redis.call('ZREM', KEYS[3], ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HINCRBYFLOAT', KEYS[1], 'tokens', 1)
return 1
