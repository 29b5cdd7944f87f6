-- Take or renew a lease by the clock of Redis: true for its holder, false while another has it.
local function hold(key, holder, ms)
  if redis.call('GET', key) == holder then
    redis.call('PEXPIRE', key, ms)
    return true
  end
  return redis.call('SET', key, holder, 'NX', 'PX', ms) and true or false
end
