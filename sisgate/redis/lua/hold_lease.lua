--- @include "lease"
-- KEYS: the lease. ARGV: the holder, the length of the lease (ms). Returns 1 for its holder, else 0.

return hold(KEYS[1], ARGV[1], ARGV[2]) and 1 or 0
