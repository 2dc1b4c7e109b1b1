#!lua
-- The numbers of some users, 0 for who is not there: thousands of states would be much to send for that.
--
-- KEYS  1 users
-- ARGV  the users

local numbers = {}
for place, stored in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV))) do
  local _, number = 0, 0
  if stored then
    _, number = struct.unpack('>I8I8', stored)
  end
  numbers[place] = number
end
return numbers
