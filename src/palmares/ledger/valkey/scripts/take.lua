-- Take some requests out of a bucket, one after the other, as `Buckets` in service/rate_limit.py does, for all workers
-- together.
--
-- KEYS[1]  the bucket of a key and a class of routes: "<missing> <at>", gone when it is full for long
-- ARGV[1]  requests a second, at least 1
-- ARGV[2]  the present instant in microseconds; empty for the one of this server, which all workers have in common
-- ARGV[3]  how many
--
-- Answers how many there were in the bucket of these. All numbers are whole and exact in a double: what is missing
-- is at most 10^12, and a product that is larger than 2^53 is larger than that in any case.

local REQUEST = 1000000
local KEPT_MILLISECONDS = 60000

local rate = tonumber(ARGV[1])
local now = tonumber(ARGV[2])
if now == nil then
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local missing, at = 0, now
local kept = redis.call('GET', KEYS[1])
if kept then
    local first, second = string.match(kept, '^(%d+) (%d+)$')
    missing, at = tonumber(first), tonumber(second)
end
missing = math.max(missing - math.max(now - at, 0) * rate, 0)

local passing = math.max(math.min(tonumber(ARGV[3]), math.floor((rate * REQUEST - missing) / REQUEST)), 0)
missing = missing + passing * REQUEST
redis.call('SET', KEYS[1], string.format('%.0f %.0f', missing, now), 'PX', KEPT_MILLISECONDS)
return passing
