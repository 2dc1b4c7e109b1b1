#!lua
-- Stores what a worker worked out for users of one shard, all of a unit or nothing of it, and counts for the answers.
--
-- KEYS  1 head  2 log  3 users  4 names  5 used  6 notes  7 ignored  8 workers  9 revising  10 breaks
--       What follows is named by its place.
-- ARGV  one string, of parts that follow their lengths in 4 bytes: the client takes longer over many arguments. They are
--       worker, number of its commit, boards, now, the boundaries before and behind that, one up to which all is
--       kept, shard, shards, then the units, then the questions.
--       Every list begins with its length. What a key is named by is its place in KEYS; 0 is none.
--
-- A unit is what one request does in this shard; it has steps. A step is
--   user, expected number and version, whether it writes, state
--   used fields, the place of its event among the lines, lines (target, content)
--   events (key, what comes before the position, position, what comes behind it)
--   events that are void (the same, then key of the void ones, voids, position of what says so)
--   erasures, one or none (name of who is erased without the number, erasures, what is left, keys with what they are
--   called then, without the number)
--   moves (order left, member, order joined, member, values left, values joined, groups, field left, field joined, note)
--   past (key, field, what was held, order), ignored fields, fields of runs that are to be revised
--   leavings (entry of the breaks, and the instant; without one, the entry is to go)
--
-- A position is a number, or "~3" for the third line that this commit adds of the user.
--
-- Answers "done" with the time, the last position, for each unit its steps (number of the user, position of the event,
-- or else of the last line; no steps where a version had moved), and the questions; "boards" when the boards of the
-- shard are not those that the worker knows; "later" when the shard is beyond the boundary until which the work holds;
-- "due" when the one before has still to pass in the shard; "breaks", with an instant, when streaks break until then
-- whose users have not left yet;
-- "damaged" with the position of the head and of the log when these differ: a key was lost.
--
-- A question is an order: its length, how many members come before each bound, how many distinct values do, the
-- distinct values before a bound, and the members of a few rows. It is answered by what all units have left.
--
-- A worker that asks for a commit again, because the answer got lost, is answered the same and nothing is done.

local parts, at = ARGV[1], 1
local function take()
  local length = struct.unpack('>I4', parts, at)
  local first = at + 4
  at = first + length
  return string.sub(parts, first, at - 1)
end
local function number()
  return tonumber(take())
end
local function key()
  return KEYS[number()]
end
local function list(read)
  local items = {}
  for place = 1, number() do
    items[place] = read()
  end
  return items
end
local function text(count)
  return string.format('%.0f', count)
end

local worker, commit = take(), take()
local last = redis.call('HGET', KEYS[8], worker)
if last then
  local number_of, answer = unpack(cmsgpack.unpack(last))
  if number_of == commit then
    return answer
  end
end

local boards, now, boundary_before, boundary = take(), number(), number(), number()
local kept, shard, shards = number(), number(), number()
local head = redis.call('HMGET', KEYS[1], 'position', 'users', 'recorded_at', 'boards', 'passed', 'kept')
local position, users = tonumber(head[1] or 0), tonumber(head[2] or 0)
local recorded_at = math.max(now, tonumber(head[3] or 0))

-- What a line is added behind is looked at before anything is changed: XADD would fail in the middle.
local function last_line()
  if redis.call('EXISTS', KEYS[2]) == 0 then
    return 0
  end
  local told = redis.call('XINFO', 'STREAM', KEYS[2])
  for place = 1, #told, 2 do
    if told[place] == 'last-generated-id' then
      return tonumber(string.match(told[place + 1], '^%d+'))
    end
  end
end
local line = last_line()
if line ~= position then
  return {'damaged', position, line}
end
if (head[4] or '0') ~= boards then
  return {'boards'}
end
if recorded_at >= boundary then
  return {'later'}
end
-- Where nothing was recorded yet, nothing ended that is still to be kept, unless others are behind.
local is_new = position == 0 and not head[5] and boundary_before <= kept
local passed = is_new and boundary_before or tonumber(head[5] or 0)
if passed < boundary_before then
  return {'due'}
end
if #redis.call('ZRANGE', KEYS[10], '-inf', text(recorded_at), 'BYSCORE', 'LIMIT', '0', '1') > 0 then
  return {'breaks', recorded_at}
end
-- While the boundary that passed last has still to be kept, where users stood then is noted before they move.
local noting = not is_new and passed > tonumber(head[6] or 0)

-- Reading the units

local function read_line()
  return {target = take(), content = take()}
end

local function read_event()
  return {key = key(), before = take(), position = take(), behind = take()}
end

local function read_gone()
  return {event = read_event(), key = key(), voids = key(), position = take()}
end

local function read_renamed()
  return {key = key(), to = take()}
end

local function read_erasure()
  return {name = take(), erasures = key(), left = take(), renamed = list(read_renamed)}
end

local function read_move()
  return {
    left = key(), member_left = take(), joined = key(), member_joined = take(),
    values_left = key(), values_joined = key(), groups = key(), field_left = take(), field_joined = take(),
    note = take(),
  }
end

local function read_past()
  return {key = key(), field = take(), held = take(), order = key()}
end

local function read_leaving()
  return {entry = take(), at = take()}
end

local function read_step()
  return {
    user = take(), number = number(), version = number(), writes = take() == '1', state = take(),
    used = list(take), event_line = number(), lines = list(read_line), events = list(read_event),
    gone = list(read_gone), erasure = list(read_erasure)[1], moves = list(read_move),
    past = list(read_past), ignored = list(take), revising = list(take), leavings = list(read_leaving),
  }
end

local function read_unit()
  return list(read_step)
end

-- Checking: nothing is changed here

local known = {}
local function present(user)
  local found = known[user]
  if not found then
    local stored = redis.call('HGET', KEYS[3], user)
    found = {version = 0, number = 0, lines = {}}
    if stored then
      found.version, found.number = struct.unpack('>I8I8', stored)
    end
    known[user] = found
  end
  return found
end

-- Who was overtaken. What comes later in this commit was worked out from what is not there, though its version may be.
local overtaken = {}

local function holds(unit)
  local versions = {}
  for _, step in ipairs(unit) do
    local user = present(step.user)
    local version = versions[step.user] or user.version
    -- Another user may have had the same name. Who is made in this commit had no number when it was worked out.
    local same = versions[step.user] or step.number == user.number or (step.number == 0 and user.made)
    if overtaken[step.user] or version ~= step.version or not same then
      return false
    end
    versions[step.user] = version + (step.writes and 1 or 0)
    if step.erasure then
      versions[step.user] = 0
    end
  end
  return true
end

-- Changing: nothing can fail any more

-- The last change of an order is told with who made it.
local function note_change(move, field)
  redis.call('HSET', move.groups, field, text(position) .. ' ' .. worker)
end

local function leave(move)
  redis.call('ZREM', move.left, move.member_left)
  if redis.call('EXISTS', move.left) == 0 then
    redis.call('HDEL', move.groups, move.field_left)
  else
    note_change(move, move.field_left)
  end
  if move.values_left then
    local value = string.sub(move.member_left, 1, 8)
    local same = redis.call('ZLEXCOUNT', move.left, '[' .. value, '(' .. value .. string.rep('\255', 9))
    if same == 0 then
      redis.call('ZREM', move.values_left, value)
    end
  end
end

local function join(move)
  redis.call('ZADD', move.joined, 0, move.member_joined)
  note_change(move, move.field_joined)
  if move.values_joined then
    redis.call('ZADD', move.values_joined, 0, string.sub(move.member_joined, 1, 8))
  end
end

local function place_of(user, given)
  local added = string.match(given, '^~(%d+)$')
  return added and user.lines[tonumber(added)] or tonumber(given)
end

local function member(user, event)
  return event.before .. struct.pack('>I8', place_of(user, event.position)) .. event.behind
end

local function take_back(user, gone)
  local found = member(user, gone.event)
  redis.call('ZREM', gone.event.key, found)
  redis.call('ZADD', gone.key, 0, found)
  redis.call('HSET', gone.voids, text(place_of(user, gone.event.position)),
    struct.pack('>I8I8I8', place_of(user, gone.position), recorded_at, user.number))
end

local function erase(step, user)
  local number_of = text(user.number)
  for _, renamed in ipairs(step.erasure.renamed) do
    if redis.call('EXISTS', renamed.key) == 1 then
      redis.call('RENAME', renamed.key, renamed.to .. number_of)
    end
  end
  local name = step.erasure.name .. number_of
  redis.call('HDEL', KEYS[3], step.user)
  redis.call('HSET', KEYS[3], name, struct.pack('>I8I8', 1, user.number) .. step.state)
  redis.call('HSET', KEYS[4], number_of, name)
  redis.call('HSET', step.erasure.erasures, number_of, step.erasure.left)
  -- Who comes with the same name is somebody new.
  known[step.user] = {version = 0, number = 0, lines = user.lines}
end

local function store(step, user)
  if user.version == 0 then
    users = users + 1
    user.number = (users - 1) * shards + shard + 1
    user.made = true
  end
  for _, line in ipairs(step.lines) do
    position = position + 1
    table.insert(user.lines, position)
    redis.call('XADD', KEYS[2], text(position) .. '-0', 'n', text(user.number), 't', text(recorded_at), 'l',
      struct.pack('>I8', place_of(user, line.target)) .. line.content)
  end
  local told = position
  if step.event_line > 0 then
    told = position - #step.lines + step.event_line
  end
  if user.version == 0 then
    redis.call('HSET', KEYS[4], text(user.number), step.user)
  end
  if step.erasure then
    erase(step, user)
  else
    user.version = user.version + 1
    redis.call('HSET', KEYS[3], step.user, struct.pack('>I8I8', user.version, user.number) .. step.state)
  end
  for _, field in ipairs(step.used) do
    redis.call('HSET', KEYS[5], field, struct.pack('>I8I8I8', told, recorded_at, user.number))
  end
  for _, event in ipairs(step.events) do
    redis.call('ZADD', event.key, 0, member(user, event))
  end
  for _, gone in ipairs(step.gone) do
    take_back(user, gone)
  end
  for _, move in ipairs(step.moves) do
    if noting then
      local stood = move.left and struct.pack('>I4', #move.field_left) .. move.field_left .. move.member_left or ''
      redis.call('HSETNX', KEYS[6], move.note, stood)
    end
    if move.left then
      leave(move)
    end
    if move.joined then
      join(move)
    end
  end
  for _, past in ipairs(step.past) do
    -- An order that is not there any more was let go: its run is read from the archive.
    if redis.call('EXISTS', past.order) == 1 then
      redis.call('HSET', past.key, past.field, past.held)
    end
  end
  for _, field in ipairs(step.ignored) do
    redis.call('HINCRBY', KEYS[7], field, 1)
  end
  for _, field in ipairs(step.revising) do
    redis.call('HSET', KEYS[9], field, text(position))
  end
  for _, leaving in ipairs(step.leavings) do
    if leaving.at == '' then
      redis.call('ZREM', KEYS[10], leaving.entry)
    else
      redis.call('ZADD', KEYS[10], leaving.at, leaving.entry)
    end
  end
  return told
end

local written = false
local function apply(unit)
  local told = {}
  if holds(unit) then
    for place, step in ipairs(unit) do
      local user = present(step.user)
      local last = position
      if step.writes then
        written = true
        last = store(step, user)
      end
      told[place] = {user.number, last}
    end
  else
    for _, step in ipairs(unit) do
      overtaken[step.user] = true
    end
  end
  return told
end

-- Counting

local function answer()
  local order, values = key(), key()
  local function before(bound)
    return redis.call('ZLEXCOUNT', order, '-', '(' .. bound)
  end
  local counts = list(function() return before(take()) end)
  local distinct = list(function() return redis.call('ZLEXCOUNT', values, '-', '(' .. take()) end)
  local upto, first, last_row = take(), number(), number()
  local better, rows = {}, {}
  if upto ~= '' then
    better = redis.call('ZRANGE', values, '-', '(' .. upto, 'BYLEX')
  end
  if first >= 0 then
    rows = redis.call('ZRANGE', order, first, last_row)
  end
  return {redis.call('ZCARD', order), counts, distinct, better, rows}
end

local units = list(read_unit)
local told = {}
for place, unit in ipairs(units) do
  told[place] = apply(unit)
end
if written and is_new then
  redis.call('HSET', KEYS[1], 'passed', text(passed), 'kept', text(passed))
end
if written then
  redis.call('HSET', KEYS[1], 'position', text(position), 'users', text(users), 'recorded_at', text(recorded_at))
end
local reply = {'done', recorded_at, position, told, list(answer)}
if written then
  redis.call('HSET', KEYS[8], worker, cmsgpack.pack({commit, reply}))
end
return reply
