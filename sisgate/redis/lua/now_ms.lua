-- The whole ms now: those of the clock that a test gives, else those of Redis ('').
local function now_ms(given)
  if given ~= '' then return math.floor(tonumber(given) + 0.5) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
