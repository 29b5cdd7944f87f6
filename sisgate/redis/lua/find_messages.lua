-- The messages at both ends of a list that mention one of the names, each once. KEYS: the list.
-- ARGV: how many at each end, how large one may be (bytes), the names.

local length = redis.call('LLEN', KEYS[1])
local most = tonumber(ARGV[1])
local ends = {{0, math.min(length, most) - 1}, {math.max(length - most, most), length - 1}}
local found = {}
for _, range in ipairs(ends) do
  if range[1] <= range[2] then
    for _, text in ipairs(redis.call('LRANGE', KEYS[1], range[1], range[2])) do
      for place = 3, #ARGV do
        if #text <= tonumber(ARGV[2]) and string.find(text, ARGV[place], 1, true) then
          found[#found + 1] = text
          break
        end
      end
    end
  end
end
return found
