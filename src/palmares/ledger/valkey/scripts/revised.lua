#!lua
-- Forgets that runs are to be revised, unless something came since it was looked at.
--
-- KEYS  1 revising
-- ARGV  of each run its field, and what it told

for place = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[place]) == ARGV[place + 1] then
    redis.call('HDEL', KEYS[1], ARGV[place])
  end
end
