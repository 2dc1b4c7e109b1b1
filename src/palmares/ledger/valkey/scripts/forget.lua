#!lua
-- Takes fields out of a hash that still hold what they were seen to hold.
--
-- KEYS  1 the hash
-- ARGV  field and value of each

for place = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[place]) == ARGV[place + 1] then
    redis.call('HDEL', KEYS[1], ARGV[place])
  end
end
return 0
