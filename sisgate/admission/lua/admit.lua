--- @include "rules"
--- @include "grant"
-- Take messages off a provider's queue, each with a permit, the most urgent first.
-- KEYS: 1 to 3 the limiter's, 4 unacked, 5 unacked_index, 6 its probe gate, 7 the version of
-- the configuration, 8 … the queue's lists by priority.
-- ARGV: now, spec ('' for no limit), most of any priority, most of normal and low, the version that
-- the spec is from, and then the priority of each list.
-- Returns reason, ms after which the next message could have a permit, factor, messages left, and for
-- each message its permit, its tag ('' if it has none that can be read) and its text.
--
-- A message leaves its list and enters `unacked` in this one step. kombu's own BRPOP loses a
-- message when its worker dies between the two. It enters before it leaves, so that an error
-- half-way leaves it in both and not in neither: the ledger makes a second delivery harmless.
--
-- While no circuit breaker of the provider is closed there is a probe gate: nothing is taken until
-- its time comes, then one message. Its worker asks a breaker, which moves the gate.

local TAKEN_MS = 5000

if is_stale(KEYS[7], ARGV[5]) then return { 'stale', '0', '1', '1' } end
local now, time = clock(ARGV[1])
local delivered_at = time[1] .. '.' .. string.format('%06d', time[2])

local function remember(text)
  local ok, message = pcall(cjson.decode, text)
  local properties = ok and type(message) == 'table' and message.properties
  local delivery = type(properties) == 'table' and properties.delivery_info
  if type(delivery) ~= 'table' then return '' end
  local tag, exchange, key = properties.delivery_tag, delivery.exchange, delivery.routing_key
  if type(tag) ~= 'string' or type(exchange) ~= 'string' or type(key) ~= 'string' then return '' end
  local place = cjson.encode({ exchange, key })
  redis.call('HSET', KEYS[4], tag, '[' .. text .. ',' .. string.sub(place, 2))
  redis.call('ZADD', KEYS[5], delivered_at, tag)
  return tag
end

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

local gate = redis.call('HGET', KEYS[6], 'until')
local shut_for = gate and tonumber(gate) - now
if shut_for then
  local most = shut_for > 0 and 0 or 1
  any, rest = math.min(any, most), math.min(rest, most)
end

local answer, count = { 'empty', '0', off and '1' or factor_of(state), '0' }, 4
local left, next_priority, why, longest_wait = 0, nil, nil, 0
for i = 8, #KEYS do
  local priority = tonumber(ARGV[i - 2])
  local waiting = redis.call('LLEN', KEYS[i])
  local want = math.min(waiting, any, priority > 3 and rest or any)
  if want > 0 and not why then
    local permits, wait, reason = {}, 0, 'granted'
    if off then
      local room
      room, wait, reason = decide(state, rule, now, priority, want)
      for n = 1, room do permits[n] = 'off' end
    else
      permits, wait, reason = grant(state, rule, now, priority, want)
    end
    local taken = #permits
    if taken > 0 then
      local texts = redis.call('LRANGE', KEYS[i], -taken, -1)
      for n = 1, taken do
        local text = texts[taken + 1 - n]
        answer[count + 1], answer[count + 2], answer[count + 3] = permits[n], remember(text), text
        count = count + 3
      end
      redis.call('LTRIM', KEYS[i], 0, -taken - 1)
    end
    any, rest, waiting = any - taken, rest - (priority > 3 and taken or 0), waiting - taken
    -- What a priority cannot have, a lower one cannot either: the urgent keep their turn.
    if taken < want then why, longest_wait = reason, wait end
  end
  left = left + waiting
  if waiting > 0 and not next_priority then next_priority = priority end
end
if shut_for and count > 4 then
  redis.call('HSET', KEYS[6], 'until', string.format('%.0f', now + TAKEN_MS))
elseif shut_for and shut_for > 0 and left > 0 then
  why, longest_wait = 'circuit_open', shut_for
end
if count > 4 and next_priority and (not why or why == 'granted') then
  -- Told with the grant, so that nobody has to come back only to hear that the bucket is empty.
  longest_wait = math.max(why and TICK_MS or 0, bucket_wait(state, rule, next_priority))
end
answer[1] = why or (count > 4 and 'granted' or (left > 0 and 'slots' or 'empty'))
answer[2], answer[4] = ms(longest_wait), tostring(left)
return answer
