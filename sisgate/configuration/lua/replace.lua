-- Replaces the published number of the newest version, unless another process was first.
-- KEYS: the number. ARGV: the number that was read there, the new one.
if redis.call("GET", KEYS[1]) == ARGV[1] then
  redis.call("SET", KEYS[1], ARGV[2])
end
