#!lua
-- Forgets what was noted of boundaries that are kept, and takes a lease for the last one that was here.
--
-- KEYS  1 head  2 passes, then the notes behind those boundaries
-- ARGV  token of the lease, the boundary up to which everything is kept
--
-- Answers 0, and changes nothing, when a later lease has been here.

if tonumber(ARGV[1]) < tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) then
  return 0
end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'kept', ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[2])
for place = 3, #KEYS do
  redis.call('UNLINK', KEYS[place])
end
return 1
