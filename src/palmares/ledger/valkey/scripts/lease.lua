#!lua
-- Takes, prolongs or gives back the lease for work that only one worker may do at a time.
--
-- KEYS  1 lease  2 the number of leases so far
-- ARGV  token, or nothing for who wants one; for how many milliseconds, 0 to give it back
--
-- Answers the token; 0 when somebody else has the lease. Of two tokens, the greater is the later one.

local held = redis.call('GET', KEYS[1])
if ARGV[1] == '' then
  if held then
    return 0
  end
  local token = redis.call('INCR', KEYS[2])
  redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
  return token
end
if held ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return tonumber(ARGV[1])
