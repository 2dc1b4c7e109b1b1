#!lua
-- Lets the orders of a run go, which the archive has.
--
-- KEYS  1 head  2 groups of the generation, then the orders and whatever else there is of the run
-- ARGV  token of the lease, then the fields of the run's groups
--
-- Answers 0, and changes nothing, when a later lease has been here.

if tonumber(ARGV[1]) < tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) then
  return 0
end
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
for place = 2, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[place])
end
for place = 3, #KEYS do
  redis.call('UNLINK', KEYS[place])
end
return 1
