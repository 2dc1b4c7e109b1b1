#!lua
-- Writes something small, behind which replicas can be waited for. Answers the node of a cluster that did it, or ''.
--
-- KEYS  1 the mark

redis.call('SET', KEYS[1], '')
local node = redis.pcall('CLUSTER', 'MYID')
return type(node) == 'string' and node or ''
