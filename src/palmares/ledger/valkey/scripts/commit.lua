#!lua
-- Stores what a worker worked out for users of one shard, all of a unit or nothing of it, and counts for the answers.
--
-- KEYS  1 head  2 log  3 users  4 names  5 used  6 notes  7 ignored  8 workers  9 revising  10 breaks
--       What follows is named by its place.
-- ARGV  one message, a MessagePack map: `message.py` says what is in it. The client takes longer over many arguments.
--
-- The message has orders, which are named by their places; units, of which each is what one request does in this shard,
-- in steps; and questions. What is empty, none or 0 is nil there.
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

local commit = cmsgpack.unpack(ARGV[1])
local nothing = {}
local function each(list)
  return ipairs(list or nothing)
end
local function text(count)
  return string.format('%.0f', count)
end

local last = redis.call('HGET', KEYS[8], commit.worker)
if last then
  local number_of, answer = unpack(cmsgpack.unpack(last))
  if number_of == commit.number then
    return answer
  end
end

local head = redis.call('HMGET', KEYS[1], 'position', 'users', 'recorded_at', 'boards', 'passed', 'kept')
local position, users = tonumber(head[1] or 0), tonumber(head[2] or 0)
local recorded_at = math.max(commit.now, tonumber(head[3] or 0))

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
if tonumber(head[4] or 0) ~= commit.boards then
  return {'boards'}
end
if recorded_at >= commit.boundary then
  return {'later'}
end
-- Where nobody was recorded yet, nothing ended that is still to be kept, unless others are behind.
local is_new = not head[5] and commit.boundary_before <= commit.kept
local passed = is_new and commit.boundary_before or tonumber(head[5] or 0)
if passed < commit.boundary_before then
  return {'due'}
end
if #redis.call('ZRANGE', KEYS[10], '-inf', text(recorded_at), 'BYSCORE', 'LIMIT', '0', '1') > 0 then
  return {'breaks', recorded_at}
end
-- While the boundary that passed last has still to be kept, where users stood then is noted before they move.
local noting = not is_new and passed > tonumber(head[6] or 0)

local orders = commit.orders
for _, order in ipairs(orders) do
  order.key, order.groups, order.values = KEYS[order.key], KEYS[order.groups], order.values and KEYS[order.values]
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
    versions[step.user] = version + (step.state and 1 or 0)
    if step.erasure then
      versions[step.user] = 0
    end
  end
  return true
end

-- Changing: nothing can fail any more

local function leave(order, member)
  redis.call('ZREM', order.key, member)
  order.changed = position
  if order.values then
    local value = string.sub(member, 1, 8)
    local same = redis.call('ZLEXCOUNT', order.key, '[' .. value, '(' .. value .. string.rep('\255', 9))
    if same == 0 then
      redis.call('ZREM', order.values, value)
    end
  end
end

local function join(order, member)
  redis.call('ZADD', order.key, 0, member)
  order.changed = position
  if order.values then
    redis.call('ZADD', order.values, 0, string.sub(member, 1, 8))
  end
end

-- A user's id stands behind the scope in the name.
local function note(step, move)
  local left = orders[move.left]
  local field = (left or orders[move.joined]).note .. string.sub(step.user, string.find(step.user, ':', 1, true) + 1)
  local stood = left and struct.pack('>I4', #left.field) .. left.field .. move.member_left or ''
  redis.call('HSETNX', KEYS[6], field, stood)
end

-- The last change of an order is told with who made it.
local function note_change(order)
  if redis.call('EXISTS', order.key) == 0 then
    redis.call('HDEL', order.groups, order.field)
  else
    redis.call('HSET', order.groups, order.field, text(order.changed) .. ' ' .. commit.worker)
  end
end

local function place_of(user, given)
  return given < 0 and user.lines[-given] or given
end

local function member(user, event)
  return event.before .. struct.pack('>I8', place_of(user, event.position)) .. event.behind
end

local function take_back(user, gone)
  local found = member(user, gone)
  redis.call('ZREM', KEYS[gone.key], found)
  redis.call('ZADD', KEYS[gone.moved_to], 0, found)
  redis.call('HSET', KEYS[gone.voids], text(place_of(user, gone.position)),
    struct.pack('>I8I8I8', place_of(user, gone.void), recorded_at, user.number))
end

local function erase(step, user)
  local number_of = text(user.number)
  for _, renamed in ipairs(step.erasure.renamed) do
    if redis.call('EXISTS', KEYS[renamed.key]) == 1 then
      redis.call('RENAME', KEYS[renamed.key], renamed.to .. number_of)
    end
  end
  local name = step.erasure.name .. number_of
  redis.call('HDEL', KEYS[3], step.user)
  redis.call('HSET', KEYS[3], name, struct.pack('>I8I8', 1, user.number) .. step.state)
  redis.call('HSET', KEYS[4], number_of, name)
  redis.call('HSET', KEYS[step.erasure.erasures], number_of, step.erasure.left)
  -- Who comes with the same name is somebody new.
  known[step.user] = {version = 0, number = 0, lines = user.lines}
end

local function store(step, user)
  if user.version == 0 then
    users = users + 1
    user.number = step.given or commit.inherited + (users - commit.inherited - 1) * commit.shards + commit.shard + 1
    user.made = true
  end
  for _, line in each(step.lines) do
    local previous = position
    position = line.at or position + 1
    table.insert(user.lines, position)
    local fields = {'n', text(user.number), 't', text(recorded_at), 'l',
      struct.pack('>I8', place_of(user, line.target or 0)) .. line.content}
    -- Where there is a gap, the line tells the one in front of it.
    if position ~= previous + 1 then
      table.insert(fields, 'p')
      table.insert(fields, text(previous))
    end
    redis.call('XADD', KEYS[2], text(position) .. '-0', unpack(fields))
  end
  local told = position
  if step.event_line then
    told = user.lines[#user.lines - #step.lines + step.event_line]
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
  for _, field in each(step.used) do
    redis.call('HSET', KEYS[5], field, struct.pack('>I8I8I8', told, recorded_at, user.number))
  end
  for _, event in each(step.events) do
    redis.call('ZADD', KEYS[event.key], 0, member(user, event))
  end
  for _, gone in each(step.gone) do
    take_back(user, gone)
  end
  for _, move in each(step.moves) do
    if noting then
      note(step, move)
    end
    if move.left then
      leave(orders[move.left], move.member_left)
    end
    if move.joined then
      join(orders[move.joined], move.member_joined)
    end
  end
  for _, past in each(step.past) do
    -- An order that is not there any more was let go: its run is read from the archive.
    if redis.call('EXISTS', orders[past.order].key) == 1 then
      redis.call('HSET', KEYS[past.key], step.user, past.held)
    end
  end
  for _, field in each(step.ignored) do
    redis.call('HINCRBY', KEYS[7], field, 1)
  end
  for _, field in each(step.revising) do
    redis.call('HSET', KEYS[9], field, text(position))
  end
  for _, leaving in each(step.leavings) do
    if leaving.at then
      redis.call('ZADD', KEYS[10], text(leaving.at), leaving.entry)
    else
      redis.call('ZREM', KEYS[10], leaving.entry)
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
      if step.state then
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

local function counted(question)
  local order = orders[question.order]
  local function before(key, bounds)
    local counts = {}
    for place, bound in each(bounds) do
      counts[place] = redis.call('ZLEXCOUNT', key, '-', '(' .. bound)
    end
    return counts
  end
  local better, rows = nothing, nothing
  if question.better and order.values then
    better = redis.call('ZRANGE', order.values, '-', '(' .. question.better, 'BYLEX')
  end
  if question.first then
    rows = redis.call('ZRANGE', order.key, question.first, question.last)
  end
  local distinct = before(order.values, question.value_bounds)
  return {redis.call('ZCARD', order.key), before(order.key, question.bounds), distinct, better, rows}
end

local told = {}
for place, unit in ipairs(commit.units) do
  told[place] = apply(unit)
end
for _, order in ipairs(orders) do
  if order.changed then
    note_change(order)
  end
end
if written and is_new then
  redis.call('HSET', KEYS[1], 'passed', text(passed), 'kept', text(passed))
end
if written then
  redis.call('HSET', KEYS[1], 'position', text(position), 'users', text(users), 'recorded_at', text(recorded_at))
end
local answers = {}
for place, question in ipairs(commit.questions) do
  answers[place] = counted(question)
end
local reply = {'done', recorded_at, position, told, answers}
if written then
  redis.call('HSET', KEYS[8], commit.worker, cmsgpack.pack({commit.number, reply}))
end
return reply
