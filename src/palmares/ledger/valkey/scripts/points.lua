#!lua
-- Lets a scope pay points by other schemes from now on, and adds the line that says so.
--
-- KEYS  1 head  2 log  3 points
-- ARGV  the boards that the worker knows, now, scope, the schemes, the line, its position where that is known beforehand
--
-- Answers "done" with the position and time of the line; "boards" when the definitions of the shard are not those that
-- the worker knows, so who asks again because the answer got lost finds out that it is done; "damaged" with the
-- positions of the head and of the log when these differ: a key was lost.

local head = redis.call('HMGET', KEYS[1], 'position', 'recorded_at', 'boards')
local position = tonumber(head[1] or 0)
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local line = last and tonumber(string.match(last[1], '^%d+')) or 0
if line ~= position then
  return {'damaged', position, line}
end
if (head[3] or '0') ~= ARGV[1] then
  return {'boards'}
end
local recorded_at = math.max(tonumber(ARGV[2]), tonumber(head[2] or 0))
local function text(count)
  return string.format('%.0f', count)
end

position = tonumber(ARGV[6] or position + 1)
local fields = {'n', '0', 't', text(recorded_at), 'l', struct.pack('>I8', 0) .. ARGV[5]}
-- Where there is a gap, the line tells the one in front of it.
if position ~= line + 1 then
  table.insert(fields, 'p')
  table.insert(fields, text(line))
end
redis.call('XADD', KEYS[2], text(position) .. '-0', unpack(fields))
redis.call('HSET', KEYS[3], text(position), ARGV[3] .. ':' .. ARGV[4])
redis.call('HSET', KEYS[1], 'position', text(position), 'recorded_at', text(recorded_at))
redis.call('HINCRBY', KEYS[1], 'boards', 1)
return {'done', position, recorded_at}
