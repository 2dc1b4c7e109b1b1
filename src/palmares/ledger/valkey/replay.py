"""Recording once more what a log says: the same lines at the same places and times, in a ledger that lost them.

Lines become entries again, which are drafted by the same rules and committed by the same script as at first. Nothing
here knows what an event changes; that what comes out is what was recorded is checked line by line.

Nobody else may record meanwhile. A piece of the log is one transaction, so a replay that is killed goes on behind the
last line that the shard has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from hashlib import sha1
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from palmares.domain.errors import Invalid, NotAllowed, PalmaresError, Unavailable
from palmares.domain.log_line import LogLine
from palmares.domain.metric import Metric
from palmares.domain.preferences import Preferences, StreakPreferences
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import User, changed
from palmares.ledger.contract import Entry
from palmares.ledger.valkey.commit import Commit, Shard
from palmares.ledger.valkey.draft import Draft, Step
from palmares.ledger.valkey.keys import user_name
from palmares.ledger.valkey.scripts import source
from palmares.ledger.valkey.shards import Shards, with_events
from palmares.ledger.valkey.state import Line, decode_line
from palmares.ledger.valkey.store import Command

_WORKER = "replay"
_FIELDS = {entry.name for entry in fields(User)}
_REPLACED = ("email", "name", "tz", "sign_up_date", "device_tokens")
_STREAK = [entry.name for entry in msgspec.structs.fields(StreakPreferences)]
# What a line of an event says of it. Its streak is left as it is: it was told by the settings of its time.
_COMPARED = ("scope", "user_id", "metric", "amount", "occurred_at", "local_at", "total", "idempotency_key", "late")


class CannotReplay(Invalid):
    """A log that does not lead to itself."""


class _Drafted(NamedTuple):
    """A step, and the lines that it was made of: the first of them told what to do, the others followed from it."""

    step: Step
    lines: Sequence[LogLine]


class Replay:
    """Records lines of logs in an empty ledger, or goes on with that."""

    def __init__(self, shards: Shards, streaks: Mapping[int, StreakSettings]) -> None:
        self._shards = shards
        self._streaks = streaks
        self._script = source("commit").encode()
        self._digest = sha1(self._script, usedforsecurity=False).hexdigest().encode()

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self._shards)

    async def position(self, shard: int) -> int:
        """The last line that a shard has; 0 when there is none."""
        [found] = await self._shards.store.read([[b"HGET", self._shards.all[shard].keys.head, b"position"]])
        return int(found or 0)

    async def add(self, shard: int, lines: Sequence[LogLine]) -> None:
        """Record lines of a shard, which follow on its last and lie within one half of a UTC day.

        Of what one request did, all lines must be there. Raises `CannotReplay` when the lines do not follow from what
        was recorded before; then nothing is changed.
        """
        entries = [Entry(line.scope, decode_line(line.content).user_id) for line in lines]
        picture = await self._shards.picture(entries, lines[0].recorded_at)
        drafted = await with_events(self._shards, picture, lambda: list(_drafted(Draft(picture, self._streaks), lines)))
        moments = [list(some) for _, some in groupby(drafted, key=lambda one: one.lines[0].recorded_at)]
        commits = [self._commit(self._shards.all[shard], some) for some in moments]
        # In one transaction, so the server has the script from the first of them.
        commands = [
            self._command(*one, first=place == 0) for place, one in enumerate(zip(commits, moments, strict=True))
        ]
        for commit, answer in zip(commits, await self._shards.store.read(commands), strict=True):
            told = commit.read(answer)
            if told.verdict != "done" or not all(told.taken):
                raise Unavailable(f"shard {shard} refuses what is replayed ({told.verdict}): somebody else uses it")
        for step, some in drafted:
            if (step.position, step.number) != (some[-1].position, some[-1].user):
                raise Unavailable(f"shard {shard} has line {some[-1].position} elsewhere: somebody else has used it")

    def _commit(self, shard: Shard, drafted: Sequence[_Drafted]) -> Commit:
        """What was recorded in one moment."""
        return Commit(shard, len(self._shards), drafted[0].lines[0].recorded_at, [[one.step] for one in drafted], {})

    def _command(self, commit: Commit, drafted: Sequence[_Drafted], *, first: bool) -> Command:
        # The position is a number that no commit of another piece has.
        keys, arguments = commit.keys, commit.arguments(_WORKER, drafted[-1].lines[-1].position)
        script = [b"EVAL", self._script] if first else [b"EVALSHA", self._digest]
        return [*script, b"%d" % len(keys), *keys, *arguments]

    async def finish(self) -> None:
        """Forget what is only needed while lines are replayed."""
        for shard in self._shards.all:
            await self._shards.store.read([[b"HDEL", shard.keys.workers, _WORKER.encode()]])
        await self._shards.refresh()


def _drafted(draft: Draft, lines: Sequence[LogLine]) -> Iterator[_Drafted]:
    """The steps that lead to some lines, with the lines as they are."""
    left = list(lines)
    while left:
        line, told = left[0], decode_line(left[0].content)
        try:
            entry, draft.now = _entry(draft, line, told)
            [step] = draft.add([entry])
        except PalmaresError as error:
            raise CannotReplay(f"line {line.position} cannot be recorded once more: {error.message}") from error
        some, left = left[: len(step.lines)], left[len(step.lines) :]
        if not some or [_compared(decode_line(one.content)) for one in some] != [_compared(one) for one in step.lines]:
            raise CannotReplay(f"line {line.position} does not follow from what was recorded before")
        # As they were written, whatever version of this program wrote them.
        step.lines = [msgspec.Raw(one.content) for one in some]  # type: ignore[misc]
        yield _Drafted(step, some)


def _entry(draft: Draft, line: LogLine, told: Line) -> tuple[Entry, int]:
    """What was asked for when a line was recorded, and when that was worked out."""
    if line.kind == "user":
        return _change(draft, told)
    if line.kind == "event":
        attributes = msgspec.json.decode(told.body) if told.body else None
        entry = Entry(
            told.scope, told.user_id, {}, _metric(told), told.amount or 0, attributes, told.idempotency_key,
            told.occurred_at, history=getattr(told, "history", False),
        )  # fmt: skip
        return entry, line.recorded_at
    raise NotAllowed(f"lines of the kind {line.kind!r} cannot be replayed yet")


def _metric(line: Line) -> Metric:
    """The metric as far as a ledger knows it: by number."""
    assert line.metric is not None
    return Metric(line.metric, "", line.scope, str(line.metric), "")


def _change(draft: Draft, line: Line) -> tuple[Entry, int]:
    after = _profile(line)
    present = draft.present(user_name(line.scope, line.user_id))
    if present is None:
        before = User(number=0, scope=line.scope, id=line.user_id, created=after.updated, updated=after.updated)
    else:
        before = present.state.user
    changes = _changes(before, after)
    if _same(changed(before, changes, after.updated), after):
        return Entry(line.scope, line.user_id, changes, control=after.control), after.updated
    raise CannotReplay("the user is another one than before")


def _profile(line: Line) -> User:
    """The user that a line tells of."""
    given = msgspec.json.decode(line.body or "{}")
    profile = {name: value for name, value in given.items() if name in _FIELDS}
    if profile.get("device_tokens") is not None:
        profile["device_tokens"] = tuple(profile["device_tokens"])
    if "preferences" in profile:
        profile["preferences"] = msgspec.convert(profile["preferences"], Preferences)
    return User(number=0, scope=line.scope, id=line.user_id, **profile)


def _changes(before: User, after: User) -> dict[str, Any]:
    """The changes that lead from one state of a user to another, as a request would have given them."""
    changes: dict[str, Any] = {name: getattr(after, name) for name in _REPLACED if _differs(before, after, name)}
    if before.emails_declined != after.emails_declined:
        changes["subscribe_to_emails"] = not after.emails_declined
    if before.own_attributes != after.own_attributes:
        changes["attributes"] = {**dict.fromkeys(before.own_attributes), **after.own_attributes}
    if before.hidden != after.hidden:
        changes["hidden"] = after.hidden
    if before.preferences != after.preferences:
        streak = {name: getattr(after.preferences.streak, name) for name in _STREAK}
        changes["preferences"] = {"notifications": after.preferences.notifications, "streak": streak}
    return changes


def _differs(before: User, after: User, name: str) -> bool:
    return bool(getattr(before, name) != getattr(after, name))


def _same(one: User, other: User) -> bool:
    """Whether two users are equal, but for what the ledger gives: numbers, and `control` and `created` at the start."""
    return replace(one, number=0, control=other.control, created=other.created) == replace(other, number=0)


def _compared(line: Line) -> list[Any]:
    return [getattr(line, name) for name in _COMPARED]
