"""Messages of the contract that were sent without a queue, and so lie in Celery's default one.

Nobody of ours reads `celery`, and another app on the same Redis may: its messages are not touched.
"""

from __future__ import annotations

import structlog
from kombu.utils.json import dumps

from sisgate.broker import APP_TASKS
from sisgate.domain.queues import PLANNER_QUEUE, queue_keys
from workers.admission.messages import MAX_MESSAGE_BYTES, read_message
from workers.runtime import Runtime

log = structlog.get_logger()

DEFAULT_QUEUE = "celery"
LOOKED_AT = 200
"""Messages at each end of a list: what another app has piled up in between is not gone through."""

# The messages at both ends of a list that mention one of the names, each once. ARGV: how many at
# each end, how large one may be (bytes), the names.
_FIND = """
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
"""

# One step, so that a message is never in both lists or in none; nothing where it is gone.
_MOVE = """
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
"""


def fetch(runtime: Runtime) -> int:
    """Move the contract's messages to the planner's queue; return how many there were.

    Each is moved in one step, so it is never in both lists or in none. Raises `redis.RedisError`.
    """
    find, move = (runtime.redis.register_script(text) for text in (_FIND, _MOVE))
    moved = 0
    for source, target in zip(queue_keys(DEFAULT_QUEUE), queue_keys(PLANNER_QUEUE), strict=True):
        args = [LOOKED_AT, MAX_MESSAGE_BYTES, *APP_TASKS]
        # What has waited longest goes first.
        for text in reversed(find(keys=[source], args=args)):
            addressed = _addressed_to_planner(text)
            if addressed is not None:
                moved += move(keys=[source, target], args=[text, addressed])
    if moved:
        log.info("messages_without_queue_moved", count=moved)
    return moved


def _addressed_to_planner(text: bytes) -> str | None:
    """Return a message of the contract as if it had been sent there; None for any other."""
    try:
        payload = read_message(text)
    except ValueError:
        return None
    if payload["headers"]["task"] not in APP_TASKS:
        return None
    place = {"exchange": PLANNER_QUEUE, "routing_key": PLANNER_QUEUE}
    payload["properties"]["delivery_info"] = place
    return str(dumps(payload))
