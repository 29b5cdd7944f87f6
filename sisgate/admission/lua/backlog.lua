-- Which of many lists hold messages. KEYS: the lists. Returns their places, from 0.
-- Mostly none does, which one command tells.
local found = {}
if redis.call('EXISTS', unpack(KEYS)) == 0 then return found end
for i = 1, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then found[#found + 1] = i - 1 end
end
return found
