#!lua
-- Lets users leave orders at the instants at which their streaks break.
--
-- KEYS  1 head  2 breaks  3 notes behind the last boundary before those instants
--       What follows is named by its place; 0 is none.
-- ARGV  boards, worker, that boundary, the last of the instants, then of each who leaves:
--       entry of the breaks, order, member, distinct values, groups, field of the group, note
--       Where the order is none, there is nothing to leave any more, and only the entry goes.
--
-- Answers "done"; or it changes nothing and answers "boards" when the boards of the shard are not those that the worker
-- knows, and "due" when the boundary has still to pass.

local head = redis.call('HMGET', KEYS[1], 'boards', 'position', 'recorded_at', 'passed', 'kept')
if (head[1] or '0') ~= ARGV[1] then
  return 'boards'
end
if tonumber(head[4] or 0) < tonumber(ARGV[3]) then
  return 'due'
end
local noting = tonumber(head[4] or 0) > tonumber(head[5] or 0)
-- Another one than the order had before: somebody may have seen that.
local told = (head[2] or '0') .. '@' .. ARGV[4] .. ' ' .. ARGV[2]

local function leave(place)
  local order, member, groups, field = KEYS[tonumber(ARGV[place + 1])], ARGV[place + 2], KEYS[tonumber(ARGV[place + 4])], ARGV[place + 5]
  if noting then
    redis.call('HSETNX', KEYS[3], ARGV[place + 6], struct.pack('>I4', #field) .. field .. member)
  end
  redis.call('ZREM', order, member)
  if redis.call('EXISTS', order) == 0 then
    redis.call('HDEL', groups, field)
  else
    redis.call('HSET', groups, field, told)
  end
  local values = KEYS[tonumber(ARGV[place + 3])]
  if values then
    local value = string.sub(member, 1, 8)
    if redis.call('ZLEXCOUNT', order, '[' .. value, '(' .. value .. string.rep('\255', 9)) == 0 then
      redis.call('ZREM', values, value)
    end
  end
end

for place = 5, #ARGV, 7 do
  -- Another worker may have been faster, or the user has gone on meanwhile.
  if redis.call('ZREM', KEYS[2], ARGV[place]) == 1 and ARGV[place + 1] ~= '0' then
    leave(place)
  end
end
if tonumber(ARGV[4]) > tonumber(head[3] or 0) then
  redis.call('HSET', KEYS[1], 'recorded_at', ARGV[4])
end
return 'done'
