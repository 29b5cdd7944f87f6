-- Forget a batch that was added. KEYS: the counts taken. ARGV: the number of the batch.

if redis.call('HGET', KEYS[1], 'batch') == ARGV[1] then redis.call('DEL', KEYS[1]) end
