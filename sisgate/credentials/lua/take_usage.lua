-- Take the counts to be added to the ledger; the batch that was taken before, if it is still there.
-- KEYS: the counts, those taken. Returns the fields of the batch, `batch` its number, or nothing.

if redis.call('EXISTS', KEYS[2]) == 0 then
  if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
  redis.call('RENAME', KEYS[1], KEYS[2])
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[2], 'batch', time[1] * 1000000 + time[2])
end
return redis.call('HGETALL', KEYS[2])
