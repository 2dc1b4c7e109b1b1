#!lua
-- Lets a boundary pass in a shard: nothing is recorded before it any more. Where it has passed already, nothing is done.
-- Answers 0, and changes nothing, when users have still to leave whose streaks break before it.
--
-- KEYS  1 head  2 passes  3 breaks
-- ARGV  the boundary, and one up to which all is kept
--
-- From then on, until what ended there is kept, commits note where users stood at the last boundary before they move.

local head = redis.call('HMGET', KEYS[1], 'passed', 'recorded_at', 'kept')
local boundary, kept = tonumber(ARGV[1]), math.max(tonumber(ARGV[2]), tonumber(head[3] or 0))
if boundary <= tonumber(head[1] or 0) then
  return 1
end
if #redis.call('ZRANGE', KEYS[3], '-inf', '(' .. ARGV[1], 'BYSCORE', 'LIMIT', '0', '1') > 0 then
  return 0
end
local recorded_at = math.max(boundary, tonumber(head[2] or 0))
redis.call('HSET', KEYS[1], 'passed', ARGV[1], 'recorded_at', string.format('%.0f', recorded_at),
  'kept', string.format('%.0f', kept))
if boundary > kept then
  redis.call('ZADD', KEYS[2], boundary, ARGV[1])
end
return 1
