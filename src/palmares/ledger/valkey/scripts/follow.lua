#!lua
-- Begins a generation of rankings: from now on, everything recorded counts on it. Answers its number.
--
-- KEYS  1 head  2 boards
-- ARGV  the board, encoded

local generation = redis.call('HINCRBY', KEYS[1], 'boards', 1)
redis.call('HSET', KEYS[2], string.format('%.0f', generation), ARGV[1])
return generation
