"""Recording once more what a log says: the same lines at the same places and times, in a ledger that lost them.

Lines become entries again, which are drafted by the same rules and committed by the same script as at first. Nothing
here knows what an event changes; that what comes out is what was recorded is checked line by line. Only of who was
erased, lines are recorded as they are, without the person.

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

from palmares.domain.effect import last_boundary
from palmares.domain.errors import Invalid, NotAllowed, PalmaresError, Unavailable
from palmares.domain.log_line import ARRIVAL, LogLine
from palmares.domain.metric import Metric
from palmares.domain.preferences import Preferences, StreakPreferences
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import User, changed
from palmares.ledger.contract import Entry, void
from palmares.ledger.points import decode_schemes
from palmares.ledger.valkey.anonymous_draft import AnonymousDraft
from palmares.ledger.valkey.commit import Commit, Shard
from palmares.ledger.valkey.draft import EventsNeeded, Given, Picture, Step
from palmares.ledger.valkey.erasing import anonymous_line, is_anonymous_line
from palmares.ledger.valkey.keeper import Keeper
from palmares.ledger.valkey.keys import user_name
from palmares.ledger.valkey.scripts import source
from palmares.ledger.valkey.shards import Shards, follower, with_events
from palmares.ledger.valkey.state import Left, Line, Logged, Stored, decode_line, encode_left, without_target
from palmares.ledger.valkey.store import Command

# The name by which shards know who rebuilds them.
REPLAYER = "replay"
_FIELDS = {entry.name for entry in fields(User)}
_REPLACED = ("email", "name", "tz", "sign_up_date", "device_tokens")
_STREAK = [entry.name for entry in msgspec.structs.fields(StreakPreferences)]
# What a line of an event says of it. Its streak is left as it is: it was told by the settings of its time.
_COMPARED = (
    "kind", "scope", "user_id", "metric", "amount", "occurred_at", "local_at", "total", "idempotency_key", "late",
    "history",
)  # fmt: skip


class CannotReplay(Invalid):
    """A log that does not lead to itself."""


class _Drafted(NamedTuple):
    """A step, and the lines that it was made of: the first of them told what to do, the others followed from it."""

    step: Step
    lines: Sequence[LogLine]


class Replay:
    """Records lines of logs in an empty ledger, or goes on with that."""

    def __init__(self, shards: Shards, streaks: Mapping[int, StreakSettings], keeper: Keeper | None = None) -> None:
        self._shards = shards
        self._streaks = streaks
        self._keeper = keeper
        self._erased: dict[int, set[int]] = {}
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

    async def leave_out(self, shard: int, erasures: Sequence[tuple[LogLine, LogLine]]) -> None:
        """Record nothing that says who was erased: by the lines that tell so, each with the first of the same user.

        Where the kept log still says it, it is noted that this is to be removed.
        """
        self._erased[shard] = {line.user for line, _ in erasures}
        key = self._shards.all[shard].keys.erasures
        for line, first in erasures:
            if not is_anonymous_line(line.content):
                named, _ = decode_line(first.content)
                left = encode_left(Left(line.scope, named.user_id, line.recorded_at))
                await self._shards.store.read([[b"HSET", key, b"%d" % line.user, left]])

    async def advance(self, now: int) -> None:
        """Keep what ended until an instant, as far as the archive does not have it. What late events revise waits until
        all is there (`Ledger.settle`)."""
        self._shards.now = max(self._shards.now, now)
        if self._keeper is not None:
            await self._keeper.reach(now)

    async def add(self, shard: int, lines: Sequence[LogLine]) -> None:
        """Record lines of a shard, which follow on its last and lie within one half of a UTC day.

        Of what one request did, all lines must be there. Raises `CannotReplay` when the lines do not follow from what
        was recorded before; then nothing is changed of what lies between two changes of the schemes of points.
        """
        place, erased = self._shards.all[shard], self._erased.get(shard, set())
        lines = [anonymous_line(line) if line.user in erased else line for line in lines]
        for (kind, boundary), some in groupby(lines, key=_kind_and_boundary):
            await self._shards.let_pass(place, boundary)
            if kind == "points":
                for line in some:
                    await self._set_points(place, line)
            elif kind == ARRIVAL:
                [line] = some
                await self._arrive(place, line)
            else:
                await self._record_all(place, list(some))

    async def _set_points(self, shard: Shard, line: LogLine) -> None:
        schemes = decode_schemes(line.body or "[]")
        given = line.position if self._is_inherited(line) else None
        await self._shards.set_points(shard, line.scope, schemes, line.recorded_at, given)
        if await self.position(shard.place) != line.position:
            raise CannotReplay(f"line {line.position} changes no schemes, or somebody else uses shard {shard.place}")

    async def _arrive(self, shard: Shard, line: LogLine) -> None:
        """Let a shard number lines and users by itself from now on."""
        users = self._shards.numbering.inherited.users
        arguments = [b"%d" % line.position, b"%d" % users, b"%d" % line.recorded_at, without_target(line.content)]
        await self._shards.store.script("arrive", [shard.keys.head, shard.keys.log], arguments)

    def _is_inherited(self, line: LogLine) -> bool:
        return line.position <= self._shards.numbering.inherited.lines

    async def _record_all(self, shard: Shard, lines: Sequence[LogLine]) -> None:
        """Record lines, with streaks that break between them."""
        while lines:
            await self._shards.break_streaks(shard, lines[0].recorded_at)
            await self._record(shard, lines)
            position = await self.position(shard.place) if self._shards.all[0].boards.streaks else lines[-1].position
            lines = [line for line in lines if line.position > position]

    async def _record(self, shard: Shard, lines: Sequence[LogLine]) -> None:
        """Record lines, up to the first behind a break of a streak."""
        picture = await self._picture(shard, lines)
        drafted = await with_events(self._shards, picture, lambda: list(self._drafted(picture, shard, lines)))
        moments = [list(some) for _, some in groupby(drafted, key=lambda one: one.lines[0].recorded_at)]
        commits = [self._commit(shard, some) for some in moments]
        # In one transaction, so the server has the script from the first of them.
        commands = [
            self._command(*one, first=place == 0) for place, one in enumerate(zip(commits, moments, strict=True))
        ]
        for commit, answer in zip(commits, await self._shards.store.read(commands), strict=True):
            told = commit.read(answer)
            if told.verdict == "breaks":
                break
            if told.verdict != "done" or not all(told.taken):
                raise Unavailable(
                    f"shard {shard.place} refuses what is replayed ({told.verdict}): somebody else uses it"
                )
        for step, some in [one for one in drafted if one.step.number]:
            told_line = some[(step.event_line or len(some)) - 1]
            if (step.position, step.number) != (told_line.position, told_line.user):
                raise Unavailable(f"shard {shard.place} has line {told_line.position} elsewhere: somebody else used it")

    def _drafted(self, picture: Picture, shard: Shard, lines: Sequence[LogLine]) -> Iterator[_Drafted]:
        """The steps that lead to some lines, with the lines as they are."""
        draft, left = _Draft(picture, self._streaks), lines
        needed: EventsNeeded | None = None
        left_out: set[int] = set()
        while left:
            line = left[0]
            if line.user in left_out:
                # It may be of a step that could not be drafted.
                left = left[1:]
                continue
            is_erased = line.user in self._erased.get(shard.place, ())
            try:
                drafted = _as_it_is(draft, line) if is_erased else _drafted(draft, left)
            except EventsNeeded as by_now:
                needed = by_now
                left_out.add(line.user)
                continue
            step, some = drafted
            if step.version:
                # Several commits go out together, so a user who is new in one has a number in the next.
                step.state = msgspec.structs.replace(step.state, user=replace(step.state.user, number=line.user))
            # As they were written, whatever version of this program wrote them.
            step.lines = [msgspec.Raw(without_target(one.content)) for one in some]  # type: ignore[misc]
            if self._is_inherited(line):
                step.given = Given(line.user, [one.position for one in some])
            yield drafted
            left = left[len(some) :]
        if needed is not None:
            raise needed

    async def _picture(self, shard: Shard, lines: Sequence[LogLine]) -> Picture:
        """What is needed to draft lines. Those that they are about may be among them."""
        logged = [_logged(line) for line in lines]
        entries = [Entry(one.line.scope, one.line.user_id) for one in logged]
        picture = await self._shards.picture(entries, lines[0].recorded_at, shard.place)
        targets = {(shard.place, one.target) for one in logged if one.target and one.target < lines[0].position}
        earlier = await self._shards.lines_at(targets)
        picture.lines = {**earlier, **{(shard.place, one.position): one for one in logged}}
        return picture

    def _commit(self, shard: Shard, drafted: Sequence[_Drafted]) -> Commit:
        """What was recorded in one moment."""
        now, units = drafted[0].lines[0].recorded_at, [[one.step] for one in drafted]
        return Commit(shard, self._shards.numbering, now, units, {}, self._shards.kept)

    def _command(self, commit: Commit, drafted: Sequence[_Drafted], *, first: bool) -> Command:
        # The position is a number that no commit of another piece has.
        keys, arguments = commit.keys, commit.arguments(REPLAYER, drafted[-1].lines[-1].position)
        script = [b"EVAL", self._script] if first else [b"EVALSHA", self._digest]
        return [*script, b"%d" % len(keys), *keys, *arguments]

    async def finish(self) -> None:
        """Forget what is only needed while lines are replayed."""
        for shard in self._shards.all:
            await self._shards.store.read([[b"HDEL", shard.keys.workers, REPLAYER.encode(), follower(REPLAYER)]])
        await self._shards.refresh()


class _Draft(AnonymousDraft):
    """Steps that lead to lines of which the positions are known."""

    first_position = 0

    def present(self, name: bytes) -> Stored | None:
        """A user as the lines before have left them."""
        return self._present(name)

    def _next_position(self, step: Step) -> int:
        return self.first_position + len(step.lines)


def _drafted(draft: _Draft, lines: Sequence[LogLine]) -> _Drafted:
    """The step that leads to the first of some lines, with all that it leads to."""
    line, told = lines[0], _logged(lines[0])
    draft.first_position = line.position
    try:
        entry, draft.now = _entry(draft, told)
        [step] = draft.add([entry])
    except PalmaresError as error:
        raise CannotReplay(f"line {line.position} cannot be recorded once more: {error.message}") from error
    some = lines[: len(step.lines)]
    expected = [(_compared(one), step.targets.get(place)) for place, one in enumerate(step.lines)]
    if not some or [(_compared(one.line), one.target) for one in map(_logged, some)] != expected:
        raise CannotReplay(f"line {line.position} does not follow from what was recorded before")
    return _Drafted(step, some)


def _as_it_is(draft: _Draft, line: LogLine) -> _Drafted:
    told = _logged(line)
    profile = _profile(told.line) if told.line.kind == "user" else None
    return _Drafted(draft.add_as_it_is(told, profile), [line])


def _kind_and_boundary(line: LogLine) -> tuple[str, int]:
    """What has to be recorded in another way, and what behind another boundary."""
    kind = line.kind if line.kind in ("points", ARRIVAL) else ""
    return kind, last_boundary(line.recorded_at)


def _logged(line: LogLine) -> Logged:
    told, target = decode_line(line.content)
    return Logged(line.position, line.recorded_at, line.user, told, target)


def _entry(draft: _Draft, logged: Logged) -> tuple[Entry, int]:
    """What was asked for when a line was recorded, and when that was worked out."""
    line = logged.line
    if line.kind == "user":
        return _change(draft, line)
    if line.kind == "event":
        attributes = msgspec.json.decode(line.body) if line.body else None
        entry = Entry(
            line.scope, line.user_id, {}, _metric(line), line.amount or 0, attributes, line.idempotency_key,
            line.occurred_at, history=line.history,
        )  # fmt: skip
        return entry, logged.recorded_at
    if line.kind == "void":
        reason = msgspec.json.decode(line.body)["reason"] if line.body else None
        return void(line.scope, _whole_target(draft, logged), reason), logged.recorded_at
    raise NotAllowed(f"lines of the kind {line.kind!r} cannot be replayed yet")


def _whole_target(draft: _Draft, logged: Logged) -> int:
    """The place in the whole log of what a line is about, which is of the same shard."""
    shard = draft.picture.shard_of[user_name(logged.line.scope, logged.line.user_id)]
    return draft.picture.numbering.whole_position(shard, logged.target or 0)


def _metric(line: Line) -> Metric:
    """The metric as far as a ledger knows it: by number."""
    assert line.metric is not None
    return Metric(line.metric, "", line.scope, str(line.metric), "")


def _change(draft: _Draft, line: Line) -> tuple[Entry, int]:
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
    # A user's body is compared as a user.
    body = None if line.kind == "user" else line.body
    return [body, *(getattr(line, name) for name in _COMPARED)]
