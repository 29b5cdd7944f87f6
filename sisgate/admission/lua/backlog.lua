-- Which of many lists hold messages. KEYS: the lists. Returns pairs of place (from 0) and length.
local found, count = {}, 0
for i = 1, #KEYS do
  local length = redis.call('LLEN', KEYS[i])
  if length > 0 then
    found[count + 1], found[count + 2] = i - 1, length
    count = count + 2
  end
end
return found
