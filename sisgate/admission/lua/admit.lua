-- Take messages off a provider's queue, each with a permit, the most urgent first.
-- KEYS: 1 to 3 the limiter's, 4 unacked, 5 unacked_index, 6 … the queue's lists by priority.
-- ARGV: now, spec ('' for no limit), most of any priority, most of normal and low, and then the
-- priority of each list.
-- Returns reason, ms to wait, factor, messages left, and for each message its permit and its text.
--
-- A message leaves its list and enters `unacked` in this one step. kombu's own BRPOP loses a
-- message when its worker dies between the two.

local function remember(text)
  local ok, message = pcall(cjson.decode, text)
  local properties = ok and type(message) == 'table' and message.properties
  local delivery = type(properties) == 'table' and properties.delivery_info
  local tag = type(properties) == 'table' and properties.delivery_tag
  if type(delivery) ~= 'table' or type(tag) ~= 'string' then return end
  local place = cjson.encode({ delivery.exchange or '', delivery.routing_key or '' })
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[4], tag, '[' .. text .. ',' .. string.sub(place, 2))
  redis.call('ZADD', KEYS[5], time[1] .. '.' .. string.format('%06d', time[2]), tag)
end

local now = clock(ARGV[1])
local off = ARGV[2] == ''
local any, rest = tonumber(ARGV[3]), tonumber(ARGV[4])
local state = load_state()
-- A provider without limits can be paused and blocked all the same.
local rule = { windows = {}, concurrency = -1, interval = 0 }
if not off then
  rule = rule_of(ARGV[2], state.limits)
  if not settle(state, rule, now) then
    return { 'unknown', ms(LOOK_AGAIN_MS), factor_of(state), '0' }
  end
end

local answer, count = { 'empty', '0', off and '1' or factor_of(state), '0' }, 4
local left, why, longest_wait = 0, nil, 0
for i = 6, #KEYS do
  local priority = tonumber(ARGV[i - 1])
  local waiting = redis.call('LLEN', KEYS[i])
  local want = math.min(waiting, any, priority > 3 and rest or any)
  if want > 0 and not why then
    local permits, wait, reason = {}, 0, 'granted'
    if off then
      local granted
      granted, wait, reason = decide(state, rule, now, priority, want)
      for n = 1, granted do permits[n] = 'off' end
    else
      permits, wait, reason = grant(state, rule, now, priority, want)
    end
    for n = 1, #permits do
      local text = redis.call('RPOP', KEYS[i])
      remember(text)
      answer[count + 1], answer[count + 2] = permits[n], text
      count = count + 2
    end
    any, rest, waiting = any - #permits, rest - (priority > 3 and #permits or 0), waiting - #permits
    -- What a priority cannot have, a lower one cannot either: the urgent keep their turn.
    if #permits < want then why, longest_wait = reason, wait end
  end
  left = left + waiting
end
if why == 'granted' then longest_wait = TICK_MS end
answer[1] = why or (count > 4 and 'granted' or (left > 0 and 'slots' or 'empty'))
answer[2], answer[4] = ms(longest_wait), tostring(left)
return answer
