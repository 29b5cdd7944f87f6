-- Publishes the number of a version, unless that of a newer one is there.
-- KEYS: the number. ARGV: the new one.
if tonumber(redis.call("GET", KEYS[1]) or 0) < tonumber(ARGV[1]) then
  redis.call("SET", KEYS[1], ARGV[1])
end
