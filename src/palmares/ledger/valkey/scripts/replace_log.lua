#!lua
-- Lets a copy take the place of a log: copies what came behind, lets go of what was let go of meanwhile.
--
-- KEYS  1 log  2 copy  3 whose copy it is to be
-- ARGV  the last position that was copied, whose copy this is
--
-- Who began later may know of more that is to go, so an earlier copy changes nothing and is an error.

if redis.call('GET', KEYS[3]) ~= ARGV[2] then
  return redis.error_reply('OVERTAKEN by another copy of the log; try again')
end

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
for _, line in ipairs(redis.call('XRANGE', KEYS[1], string.format('%.0f', tonumber(ARGV[1]) + 1) .. '-0', '+')) do
  redis.call('XADD', KEYS[2], line[1], unpack(line[2]))
end
redis.call('XTRIM', KEYS[2], 'MINID', first[1])
-- Somebody else may have been at the same copy: then it lacks lines, and the log stays as it is.
if redis.call('XLEN', KEYS[2]) ~= redis.call('XLEN', KEYS[1]) then
  return redis.error_reply('INCOMPLETE copy of the log; try again')
end
redis.call('RENAME', KEYS[2], KEYS[1])
return 0
