-- Set the adaptive factor. ARGV: factor, the factor it was decided on or ''. Returns 1 if set.

local current = tonumber(redis.call('HGET', KEYS[1], 'factor') or 1)
if ARGV[2] ~= '' and math.abs(current - tonumber(ARGV[2])) > 1e-9 then return 0 end
redis.call('HSET', KEYS[1], 'factor', ARGV[1])
return 1
