#!lua
-- Lets the last answers to workers, which may be told again, name users as they are called since they were erased.
--
-- KEYS  1 workers
-- ARGV  of each user the id, and what stands for it
--
-- An id is in the rows of the counts, behind the 16 bytes of value and time; see the answer of commit.lua.

local called = {}
for place = 1, #ARGV, 2 do
  called[ARGV[place]] = ARGV[place + 1]
end

local function rename(rows)
  local found = false
  for place, row in ipairs(rows) do
    local other = called[string.sub(row, 17)]
    if other then
      rows[place] = string.sub(row, 1, 16) .. other
      found = true
    end
  end
  return found
end

local answers = redis.call('HGETALL', KEYS[1])
for place = 1, #answers, 2 do
  local number, reply = unpack(cmsgpack.unpack(answers[place + 1]))
  local found = false
  for _, count in ipairs(reply[5] or {}) do
    found = rename(count[5]) or found
  end
  if found then
    redis.call('HSET', KEYS[1], answers[place], cmsgpack.pack({number, reply}))
  end
end
return 0
