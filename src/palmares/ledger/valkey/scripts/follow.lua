#!lua
-- Begins a generation of rankings: from now on, everything recorded counts on it. Answers its number, and the position
-- of the last line that does not count.
--
-- KEYS  1 head  2 boards  3 workers
-- ARGV  the board, encoded; who asks, and the number of its attempt
--
-- Who asks again, because the answer got lost, is answered the same and nothing is done.

local last = redis.call('HGET', KEYS[3], ARGV[2])
if last then
  local attempt, begun = unpack(cmsgpack.unpack(last))
  if attempt == ARGV[3] then
    return begun
  end
end
local generation = redis.call('HINCRBY', KEYS[1], 'boards', 1)
redis.call('HSET', KEYS[2], string.format('%.0f', generation), ARGV[1])
local begun = {generation, tonumber(redis.call('HGET', KEYS[1], 'position') or 0)}
redis.call('HSET', KEYS[3], ARGV[2], cmsgpack.pack({ARGV[3], begun}))
return begun
