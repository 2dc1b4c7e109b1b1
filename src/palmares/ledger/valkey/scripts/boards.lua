#!lua
-- Replaces the definitions of generations that are still there, and lets others go; whoever commits has to look again.
-- Answers the position of the last line by the former ones.
--
-- KEYS  1 head  2 boards
-- ARGV  how many are replaced, then generation and encoded board of each; the rest are generations to let go

local count = tonumber(ARGV[1])
for place = 2, 2 * count, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[place]) == 1 then
    redis.call('HSET', KEYS[2], ARGV[place], ARGV[place + 1])
  end
end
for place = 2 * count + 2, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[place])
end
redis.call('HINCRBY', KEYS[1], 'boards', 1)
return tonumber(redis.call('HGET', KEYS[1], 'position') or 0)
