-- The SQL of the embedded ledger. Python asks by name; each statement says what it is for.

-- name: create_log
-- Nothing is ever deleted; an erasure blanks what is a person's. kind: 1 event, 2 user, 3 void, 4 erasure, 5 the schemes
-- by which a scope pays points from then on, in `body`, without a user (0). An award is an event on the counter of its
-- points system, a negative number; `target` is the event that earned it, `body` has the trigger. `late` marks an event
-- that happened before one already recorded for its user and metric, `history` one imported to take effect when it
-- happened. `total` is the user's lifetime total after the event. `streak` is the user's streak after the line, where
-- that changed it. `target` is the position of the line that this one is about: a void is about an event, with the
-- opposite amount and everything else as there, but for the `total` behind it and a reason in its body. Times are
-- microseconds, amounts are micros.
CREATE TABLE IF NOT EXISTS log (
    position INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    user INTEGER NOT NULL,
    metric INTEGER,
    amount INTEGER,
    occurred_at INTEGER,
    local_at INTEGER,
    late INTEGER,
    total INTEGER,
    idempotency_key TEXT,
    user_id TEXT,
    body TEXT,
    history INTEGER,
    streak TEXT,
    target INTEGER
)

-- name: log_columns
SELECT name FROM pragma_table_info('log')

-- name: add_history
-- For logs that were begun before events could be imported as history.
ALTER TABLE log ADD COLUMN history INTEGER

-- name: add_streak
-- For logs that were begun before streaks were counted.
ALTER TABLE log ADD COLUMN streak TEXT

-- name: add_target
-- For logs that were begun before lines could be about others.
ALTER TABLE log ADD COLUMN target INTEGER

-- name: create_origins
-- Where events were in the logs from which this one was put together: their ids are made of that.
CREATE TABLE IF NOT EXISTS origins (position INTEGER PRIMARY KEY, origin INTEGER NOT NULL UNIQUE)

-- name: add_origin
INSERT INTO origins VALUES (?, ?)

-- name: last_origin
-- Up to here, events have other places than those of which their ids are made.
SELECT coalesce(max(position), 0) FROM origins

-- name: origin_of
SELECT origin FROM origins WHERE position = ?

-- name: position_of_origin
SELECT position FROM origins WHERE origin = ?

-- name: positions_of_origins
-- Where events may be whose ids are made of these places, a JSON array of them: their own place, if it is behind all
-- that was put together, and that of which it was the origin.
SELECT value AS origin, value AS position FROM json_each(?1)
WHERE value > (SELECT coalesce(max(position), 0) FROM source.origins)
UNION SELECT origin, position FROM source.origins WHERE origin IN (SELECT value FROM json_each(?1))

-- name: append
-- One line of the log.
INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: last_record
-- Where the log ends: position and time of its last line.
SELECT position, recorded_at FROM log ORDER BY position DESC LIMIT 1

-- name: recorded_when
-- When the last line up to a position was recorded.
SELECT recorded_at FROM log WHERE position <= ? ORDER BY position DESC LIMIT 1

-- name: records
-- The log in order, behind a position.
SELECT * FROM log WHERE position > ? ORDER BY position LIMIT ?

-- name: record
-- One line.
SELECT * FROM log WHERE position = ?
-- name: lines
-- The lines at some positions, which are a JSON array.
SELECT * FROM log WHERE position IN (SELECT value FROM json_each(?))

-- name: user_records
-- The user lines of a stretch of the log, in order.
SELECT * FROM log WHERE position > ? AND position <= ? AND kind = 2 ORDER BY position

-- name: past_steps
-- What changed a metric's rankings the moment it was recorded, in order: events that took effect at once, and, where
-- boards have groups, all changes of attributes, else, if anyone was hidden, those of the hidden. Erasures have an empty
-- body.
SELECT recorded_at, position, recorded_at, user, amount, occurred_at, local_at, CASE kind WHEN 2 THEN body WHEN 4 THEN '' END
FROM log
WHERE position <= :upto AND CASE kind
    WHEN 1 THEN metric = :metric AND occurred_at = recorded_at AND local_at >= :first AND local_at < :past
    WHEN 2 THEN CASE :changes
        WHEN 'all' THEN json_extract(body, '$.attributes_before') IS NOT NULL
        WHEN 'hiding' THEN instr(body, '"palmares:hidden"')
    END
    WHEN 4 THEN true
END
ORDER BY position

-- name: backdated_events
-- The other events of a metric, in the order in which they take effect; first those that take none.
SELECT effect_at(recorded_at, occurred_at, local_at, history) AS effect,
       position, recorded_at, user, amount, occurred_at, local_at, NULL
FROM log
WHERE position <= :upto AND kind = 1 AND metric = :metric AND occurred_at <> recorded_at
  AND local_at >= :first AND local_at < :past
ORDER BY effect, position

-- name: streak_steps
-- The same for streaks, of these metrics or of all, and with every line of a user, as any may have another zone.
SELECT recorded_at, position, recorded_at, user, amount, occurred_at, local_at,
       CASE kind WHEN 2 THEN body WHEN 4 THEN '' END, metric
FROM log
WHERE position <= :upto AND scope = :scope
    AND (kind IN (2, 4) OR kind = 1 AND occurred_at = recorded_at AND local_at < :past AND metric > 0
    AND (:metrics IS NULL OR metric IN (SELECT value FROM json_each(:metrics))))
ORDER BY position

-- name: backdated_streak_events
SELECT effect_at(recorded_at, occurred_at, local_at, history) AS effect,
       position, recorded_at, user, amount, occurred_at, local_at, NULL, metric
FROM log
WHERE position <= :upto AND scope = :scope AND kind = 1 AND occurred_at <> recorded_at AND local_at < :past AND metric > 0
  AND (:metrics IS NULL OR metric IN (SELECT value FROM json_each(:metrics)))
ORDER BY effect, position

-- name: first_zones
-- The zone and the preferences that each user of a scope had at first.
SELECT user, json_extract(body, '$.tz'), json_extract(body, '$.preferences'), min(position) FROM log
WHERE position <= :upto AND scope = :scope AND kind = 2 GROUP BY user

-- name: attribute_changes
-- The lines that changed attributes, newest first.
SELECT user, body FROM log
WHERE position <= ? AND kind = 2 AND json_extract(body, '$.attributes_before') IS NOT NULL
ORDER BY position DESC

-- name: effects_of
-- The events of one user and metric within a stretch of local time, with what tells when they take effect.
SELECT event.occurred_at, event.position, event.amount, event.local_at, log.recorded_at, coalesce(log.history, 0)
FROM user_events AS event JOIN source.log AS log ON log.position = event.position
WHERE event.user = :user AND event.metric = :metric AND event.local_at >= :first AND event.local_at < :past
  AND event.position <= :upto

-- name: create_users
CREATE TABLE IF NOT EXISTS users (
    number INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (scope, id)
)

-- name: create_totals
-- `latest` is when the newest event of the user and metric happened.
CREATE TABLE IF NOT EXISTS totals (
    user INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    total INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    PRIMARY KEY (user, metric)
) WITHOUT ROWID

-- name: create_user_events
-- The events once more, by user, metric and local time.
CREATE TABLE IF NOT EXISTS user_events (
    user INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    local_at INTEGER NOT NULL,
    position INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (user, metric, local_at, position)
) WITHOUT ROWID

-- name: create_voids
-- The events that are void: `target` is the position of the event, `position` of what says so.
CREATE TABLE IF NOT EXISTS voids (
    user INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    target INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (user, metric, target)
) WITHOUT ROWID

-- name: create_idempotency
CREATE TABLE IF NOT EXISTS idempotency (
    user INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    key TEXT NOT NULL,
    position INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (user, metric, key)
) WITHOUT ROWID

-- name: create_streaks
-- `state` is what the log has in `streak`, or was worked out again by newer settings.
CREATE TABLE IF NOT EXISTS streaks (
    user INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    state TEXT NOT NULL
)

-- name: create_streak_rules
-- The version of the settings by which all streaks of a scope were worked out.
CREATE TABLE IF NOT EXISTS streak_rules (
    scope INTEGER PRIMARY KEY,
    version INTEGER NOT NULL
)

-- name: create_schemes
-- The schemes by which each scope pays points from a position on.
CREATE TABLE IF NOT EXISTS schemes (
    position INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    body TEXT NOT NULL
)

-- name: projection_tables
-- How many tables the projection has; none in a new file.
SELECT count(*) FROM main.sqlite_master WHERE type = 'table'

-- name: create_progress
-- How far the projection has come.
CREATE TABLE IF NOT EXISTS progress (position INTEGER NOT NULL)

-- name: progress
SELECT position FROM progress

-- name: project_users
-- The newest line of each user in the stretch.
INSERT INTO users (number, scope, id, body)
SELECT user, scope, user_id, body
FROM (SELECT user, scope, user_id, body, max(position)
      FROM source.log WHERE position > :after AND position <= :upto AND kind = 2
      AND user NOT IN (SELECT user FROM erased) GROUP BY user)
WHERE true
ON CONFLICT (number) DO UPDATE SET body = excluded.body

-- name: project_totals
-- The total behind the last event of each user and metric in the stretch.
INSERT INTO totals (user, metric, total, latest)
SELECT last.user, last.metric, log.total, last.latest
FROM (SELECT user, metric, max(position) AS position, max(occurred_at) AS latest
      FROM source.log WHERE position > :after AND position <= :upto AND kind IN (1, 3)
      GROUP BY user, metric) AS last
JOIN source.log AS log ON log.position = last.position
WHERE true
ON CONFLICT (user, metric) DO UPDATE SET total = excluded.total, latest = max(latest, excluded.latest)

-- name: project_user_events
-- Sorted, so that the tree is walked once from left to right.
INSERT INTO user_events (user, metric, local_at, position, occurred_at, amount)
SELECT user, metric, local_at, position, occurred_at, amount
FROM source.log WHERE position > :after AND position <= :upto AND kind = 1
ORDER BY user, metric, local_at, position

-- name: project_voids
INSERT INTO voids (user, metric, target, position)
SELECT user, metric, target, position
FROM source.log WHERE position > :after AND position <= :upto AND kind = 3

-- name: project_idempotency
INSERT INTO idempotency (user, metric, key, position, recorded_at)
SELECT user, metric, idempotency_key, position, recorded_at
FROM source.log WHERE position > :after AND position <= :upto AND idempotency_key IS NOT NULL
AND user NOT IN (SELECT user FROM erased)
ORDER BY user, metric, idempotency_key

-- name: project_streaks
-- The newest state of each user in the stretch.
INSERT INTO streaks (user, scope, state)
SELECT user, scope, streak
FROM (SELECT user, scope, streak, max(position)
      FROM source.log WHERE position > :after AND position <= :upto AND streak IS NOT NULL
      AND user NOT IN (SELECT user FROM erased) GROUP BY user)
WHERE true
ON CONFLICT (user) DO UPDATE SET state = excluded.state

-- name: project_schemes
INSERT INTO schemes (position, scope, body)
SELECT position, scope, body FROM source.log WHERE position > :after AND position <= :upto AND kind = 5

-- name: schemes
SELECT position, scope, body FROM schemes ORDER BY position

-- name: create_marked
-- Who was ever hidden, and whether that is so now.
CREATE TABLE IF NOT EXISTS marked (user INTEGER PRIMARY KEY, hidden INTEGER NOT NULL)

-- name: project_marked
-- The newest line of each user in the stretch who is hidden behind it, or was before. What a customer wrote has its
-- quotes escaped, so only our own key is found.
INSERT INTO marked (user, hidden)
SELECT user, json_extract(body, '$.attributes."palmares:hidden"') IS NOT NULL AND user NOT IN (SELECT user FROM erased)
FROM (SELECT user, body, max(position) FROM source.log
      WHERE position > :after AND position <= :upto AND kind = 2 AND instr(body, '"palmares:hidden"') GROUP BY user)
WHERE true
ON CONFLICT (user) DO UPDATE SET hidden = excluded.hidden

-- name: create_erased
-- Who was erased at which place of the log, and what the past needs of the body. The id is kept until no file has it.
CREATE TABLE IF NOT EXISTS erased (
    user INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    position INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    id TEXT,
    body TEXT NOT NULL,
    finished INTEGER NOT NULL
)

-- name: has_erasures
SELECT EXISTS (SELECT 1 FROM source.log WHERE position > :after AND position <= :upto AND kind = 4)

-- name: project_erased
WITH gone AS (
    SELECT user, scope, position, recorded_at FROM source.log
    WHERE position > :after AND position <= :upto AND kind = 4
), newest AS (
    SELECT user, user_id, body, max(position) FROM source.log
    WHERE position > :after AND position <= :upto AND kind = 2 AND user IN (SELECT user FROM gone) GROUP BY user
), known AS (
    SELECT gone.*, coalesce(newest.user_id, users.id) AS id, coalesce(newest.body, users.body) AS body
    FROM gone LEFT JOIN newest ON newest.user = gone.user LEFT JOIN users ON users.number = gone.user
)
INSERT INTO erased (user, scope, position, recorded_at, id, body, finished)
SELECT user, scope, position, recorded_at, nullif(trim(id), ''),
       json_patch('{}', json_object('tz', json_extract(body, '$.tz'), 'preferences', json_extract(body, '$.preferences'),
                  'control', json(iif(json_extract(body, '$.control'), 'true', 'false')),
                  'created', json_extract(body, '$.created'), 'updated', json_extract(body, '$.updated'))), 0
FROM known

-- name: erase_users
DELETE FROM users WHERE number IN (SELECT user FROM erased WHERE position > :after AND position <= :upto)

-- name: erase_idempotency
DELETE FROM idempotency WHERE user IN (SELECT user FROM erased WHERE position > :after AND position <= :upto)

-- name: erase_streaks
DELETE FROM streaks WHERE user IN (SELECT user FROM erased WHERE position > :after AND position <= :upto)

-- name: erase_marked
-- They were once, which is of interest to builds; but are no longer.
UPDATE marked SET hidden = 0 WHERE user IN (SELECT user FROM erased WHERE position > :after AND position <= :upto)

-- name: erased_users
SELECT user FROM erased

-- name: erased_user
SELECT scope, body FROM erased WHERE user = ?

-- name: unfinished_erasures
SELECT scope, user, id, recorded_at, position FROM erased WHERE NOT finished ORDER BY position

-- name: forget_ids
UPDATE erased SET id = NULL WHERE user IN (SELECT value FROM json_each(?))

-- name: finish_erasures
UPDATE erased SET finished = 1 WHERE user IN (SELECT value FROM json_each(?))

-- name: lines_of_users
-- The lines of some users, a JSON array of numbers, in a stretch of the log.
SELECT position, kind, user_id, body, idempotency_key FROM log
WHERE position > ? AND position <= ? AND user IN (SELECT value FROM json_each(?))

-- name: rewrite_line
UPDATE log SET user_id = ?, body = ?, idempotency_key = ? WHERE position = ?

-- name: hidden_users
SELECT user FROM marked WHERE hidden

-- name: anyone_hidden
SELECT EXISTS (SELECT 1 FROM marked)

-- name: user_by_id
-- A user with streak and totals, a row for each metric: one statement, because each costs more than what it finds.
SELECT number, body, state, metric, total, latest FROM users
LEFT JOIN streaks ON streaks.user = number LEFT JOIN totals ON totals.user = number
WHERE users.scope = ? AND id = ?

-- name: user_by_number
SELECT users.scope, id, body, state, metric, total, latest FROM users
LEFT JOIN streaks ON streaks.user = number LEFT JOIN totals ON totals.user = number
WHERE number = ?

-- name: named
-- The ids and names of many users at once; the numbers are a JSON array.
SELECT number, id, json_extract(body, '$.name') FROM users WHERE number IN (SELECT value FROM json_each(?))

-- name: id_of
SELECT id FROM users WHERE number = ?

-- name: last_user
-- The highest number given so far.
SELECT max(coalesce((SELECT max(number) FROM users), 0), coalesce((SELECT max(user) FROM erased), 0))

-- name: totals_of
SELECT metric, total, latest FROM totals WHERE user = ?

-- name: first_use
-- The event that used an idempotency key.
SELECT position, recorded_at FROM idempotency WHERE user = ? AND metric = ? AND key = ?

-- name: void_of
-- The line that says that an event is void.
SELECT position FROM voids WHERE user = ? AND metric = ? AND target = ?

-- name: voids
-- All events of a metric, or of any, that are void by a position.
SELECT target, position FROM voids WHERE (:metric IS NULL OR metric = :metric) AND position <= :upto

-- name: positions_of_user
-- Events of a user and metric, so many of them, in no order; those in a stretch of the log are told by their positions.
SELECT iif(position > :after AND position < :before, position, NULL) FROM user_events
WHERE user = :user AND metric = :metric LIMIT :most

-- name: metrics_of_user
SELECT metric FROM totals WHERE user = ? AND metric > 0

-- name: position_of_key
-- The events of a user that used an idempotency key, one for each metric.
SELECT idempotency.position FROM totals JOIN idempotency
    ON idempotency.user = totals.user AND idempotency.metric = totals.metric AND key = :key
WHERE totals.user = :user AND totals.metric > 0 AND (:metric IS NULL OR totals.metric = :metric)
    AND position > :after AND position < :before

-- name: stored_events
-- Events by position, newest first, each with when and why it was taken back, and of which place its id is made; the
-- positions are a JSON array.
SELECT log.*, void.recorded_at, void.body,
    coalesce((SELECT origin FROM source.origins WHERE origins.position = log.position), log.position)
FROM source.log AS log
LEFT JOIN voids ON voids.user = log.user AND voids.metric = log.metric AND voids.target = log.position
LEFT JOIN source.log AS void ON void.position = voids.position
WHERE log.position IN (SELECT value FROM json_each(:positions)) AND log.kind = 1 AND log.scope = :scope AND log.metric > 0
    AND log.user NOT IN (SELECT user FROM erased)
ORDER BY log.position DESC

-- name: events_in_stretch
-- Where in a stretch of the log events are that fit, newest first.
SELECT position FROM source.log
WHERE position > :after AND position < :before AND kind = 1 AND scope = :scope AND metric > 0
    AND (:user IS NULL OR user = :user) AND (:metric IS NULL OR metric = :metric)
    AND (:key IS NULL OR idempotency_key = :key) AND user NOT IN (SELECT user FROM erased)
ORDER BY position DESC LIMIT :most

-- name: days_of
-- What the events of each local day, counted from 1970, added that are not void; `upto` keeps out what the caller still holds in memory.
-- SQLite divides towards zero; the shift by a million days makes that the floor before 1970 too.
SELECT (local_at + 86400000000000000) / 86400000000 - 1000000 AS day, sum(amount) FROM user_events
WHERE user = :user AND metric = :metric AND local_at >= :first AND local_at < :past AND position <= :upto
    AND position NOT IN (SELECT target FROM voids WHERE user = :user AND metric = :metric AND position <= :upto)
GROUP BY day

-- name: history_of
-- The events of one user and metric within a stretch of local time, as far as they are not void by the position.
SELECT occurred_at, position, amount, local_at FROM user_events
WHERE user = :user AND metric = :metric AND local_at >= :first AND local_at < :past AND position <= :upto
    AND position NOT IN (SELECT target FROM voids WHERE user = :user AND metric = :metric AND position <= :upto)

-- name: newest_of
-- The events of one user and metric that happened last, by the user's clock, and are not void.
SELECT occurred_at, position, amount, local_at FROM user_events
WHERE user = :user AND metric = :metric AND position <= :upto
    AND position NOT IN (SELECT target FROM voids WHERE user = :user AND metric = :metric AND position <= :upto)
ORDER BY local_at DESC, position DESC LIMIT :limit

-- name: users_by_number
SELECT number, body FROM users ORDER BY number

-- name: streak_rules
SELECT scope, version FROM streak_rules

-- name: set_streak_rules
INSERT INTO streak_rules VALUES (:scope, :version) ON CONFLICT (scope) DO UPDATE SET version = excluded.version

-- name: streak_events
-- What counts for the streaks of a scope, of these metrics or of all, user by user, with zone and preferences.
SELECT event.user, json_extract(body, '$.tz'), json_extract(body, '$.preferences'), occurred_at, position, metric, amount, local_at
FROM user_events AS event CROSS JOIN users ON number = event.user
WHERE scope = :scope AND metric > 0 AND (:metrics IS NULL OR metric IN (SELECT value FROM json_each(:metrics)))
    AND NOT EXISTS (SELECT 1 FROM voids WHERE (user, metric, target) = (event.user, event.metric, event.position))
ORDER BY event.user

-- name: restate
-- A state by newer settings; what events have written meanwhile is newer still.
INSERT INTO streaks (user, scope, state) VALUES (:user, :scope, :state)
ON CONFLICT (user) DO UPDATE SET state = excluded.state
WHERE json_extract(streaks.state, '$[0]') <> json_extract(excluded.state, '$[0]')

-- name: forget_old_states
-- Of users who have nothing that counts by the newer settings.
DELETE FROM streaks WHERE scope = :scope AND json_extract(state, '$[0]') <> :version

-- name: longest_streaks
-- The users of a scope by a length (its place in the state), longest first, reached earlier first, then by id. Those
-- whose streaks were broken before an instant are left out; where everybody counts, it is before all instants.
SELECT id, json_extract(body, '$.name'), json_extract(state, :length) AS length
FROM streaks JOIN users ON number = user
WHERE streaks.scope = :scope AND json_extract(state, '$[0]') = :version AND json_extract(state, '$[7]') > :now
  AND NOT EXISTS (SELECT 1 FROM marked WHERE marked.user = number AND hidden)
ORDER BY length DESC, json_extract(state, :reached), id LIMIT :limit
