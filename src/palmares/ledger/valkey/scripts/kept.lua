#!lua
-- Notes that everything is in the archive that ended until a boundary.
--
-- KEYS  1 lease  2 kept
-- ARGV  token of the lease, the boundary
--
-- Answers 0, and changes nothing, when the lease has run out.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[2], ARGV[2])
return 1
