#!lua
-- Adds the line that ends what a shard has taken over, from which on the shard numbers lines and users by itself.
--
-- KEYS  1 head  2 log
-- ARGV  the position of the line, the last user that was taken over, now, the line
--
-- Answers the position of the shard; where it has the line already, nothing is done. The head says what was taken over.

local head = redis.call('HMGET', KEYS[1], 'position', 'recorded_at')
local previous, recorded_at = tonumber(head[1] or 0), math.max(tonumber(ARGV[3]), tonumber(head[2] or 0))
if previous >= tonumber(ARGV[1]) then
  return previous
end
local function text(count)
  return string.format('%.0f', count)
end
redis.call('XADD', KEYS[2], ARGV[1] .. '-0', 'n', '0', 't', text(recorded_at), 'l', struct.pack('>I8', 0) .. ARGV[4],
  'p', text(previous))
redis.call('HSET', KEYS[1], 'position', ARGV[1], 'users', ARGV[2], 'recorded_at', text(recorded_at),
  'inherited_lines', ARGV[1], 'inherited_users', ARGV[2])
return tonumber(ARGV[1])
