-- Move a message from one list to another in one step, so that it is never in both or in none, and
-- of two who move it only one does. KEYS: from, to. ARGV: what stands in the first list, what is to
-- stand in the second. Returns 1, or 0 where it is gone.

if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
