"""Every key that the ledger has in Valkey.

A shard is a complete small ledger of its users, and all of its keys begin with the same hash tag, so that they lie in
one slot and one script may change them together. Of a ledger called `palmares`, shard 3 has

    {palmares.3}:head                      hash    position, users, recorded_at and boards: the counters of the shard;
                                                   passed, kept and fence: how far time is, see `keeper.py`
    {palmares.3}:log                       stream  the truth: one entry for each line, with the id `<position>-0`; where
                                                   lines were taken over, it has gaps, see `numbering.py`
    {palmares.3}:users                     hash    user → version, number, state
    {palmares.3}:names                     hash    number of a user → user
    {palmares.3}:used                      hash    user, metric, idempotency key → the event: position, time, user
    {palmares.3}:past:7:739312             hash    of a generation and a run that is final: user → what the user had
    {palmares.3}:boards                    hash    generation → definition of a board, and whether it is complete
    {palmares.3}:points                    hash    position → scope, and the schemes by which it pays from there on
    {palmares.3}:erasures                  hash    number of an erased user of whom something is left → whose, and when
    {palmares.3}:rewriting                 string  who copies the log, to remove what is left of erased users
    {palmares.3}:rewritten:…               stream  the copy, by who makes it
    {palmares.3}:voids                     hash    position of an event → position and time of what says that it is void
    {palmares.3}:ignored                   hash    generation, run → how many events came late and were left out
    {palmares.3}:revising                  hash    generation, run → the last event that changes what is over of the run
    {palmares.3}:workers                   hash    worker → its last commit, and what that was answered
    {palmares.3}:breaks                    zset    who leaves which order at which instant, see `breaks.py`
    {palmares.3}:passes                    zset    the boundaries behind which notes were made that are still needed
    {palmares.3}:notes:1772668800000000    hash    of such a boundary: generation, run, user → where the user stood then
    {palmares.3}:groups:7                  hash    of a generation: run and group → last change, where anybody stands
    {palmares.3}:events:1:1:ann            zset    of a metric and a user: the events
    {palmares.3}:void:1:1:ann              zset    the same, of those that are void
    {palmares.3}:order:7:739312:…          zset    of a generation, run and group: the order, see `member.py`
    {palmares.3}:values:7:739312:…         zset    the same, each value once; only where ranks are dense

and the ledger as a whole has

    {palmares}:shards                      string  how many shards there are, which is settled when the data is made
    {palmares}:kept                        string  the boundary up to which everything that ended is in the archive
    {palmares}:begun                       set     board, run: the runs that are not final and of which days are kept
    {palmares}:lease, {palmares}:leases    string  who does the work of time, see `lease.py`

Beside it, the workers of a cluster have

    {palmares}:catalog                     string  when the catalog was made that the ledger goes with
    {palmares}:test-clock                  string  where the test clock stands, if there is one

A *generation* is one making of a board's rankings, numbered by the shard.
"""

from __future__ import annotations

from zlib import crc32

import msgspec

from palmares.domain.erased import anonymous_id, is_anonymous
from palmares.domain.group import Group

_ERASED = f":{anonymous_id(0)[:-1]}".encode()
_pack = msgspec.msgpack.Encoder().encode

# A run and a group of it; None is the hidden group of those who take no part.
RunGroup = tuple[int, Group | None]
_unpack_run_group = msgspec.msgpack.Decoder(tuple[int, tuple[str, ...] | None]).decode


class ShardKeys:
    """The names of one shard's keys, as bytes."""

    def __init__(self, ledger: str, shard: int) -> None:
        self._base = base = f"{{{ledger}.{shard}}}:".encode()
        self.head = base + b"head"
        self.log = base + b"log"
        self.users = base + b"users"
        self.names = base + b"names"
        self.used = base + b"used"
        self.boards = base + b"boards"
        self.ignored = base + b"ignored"
        self.revising = base + b"revising"
        self.points = base + b"points"
        self.voids = base + b"voids"
        self.erasures = base + b"erasures"
        self.rewriting = base + b"rewriting"
        self.workers = base + b"workers"
        self.passes = base + b"passes"
        self.breaks = base + b"breaks"

    def groups(self, generation: int) -> bytes:
        """The runs and groups of a generation."""
        return self._base + b"groups:%d" % generation

    def rewritten(self, attempt: bytes) -> bytes:
        """The log in the making, by who makes it."""
        return self._base + b"rewritten:" + attempt

    def notes(self, boundary: int) -> bytes:
        """Where users stood at a boundary who have moved since."""
        return self._base + b"notes:%d" % boundary

    def past(self, generation: int, run_start: int) -> bytes:
        """What users had in a final run, as far as that is no part of their state any more."""
        return self._base + b"past:%d:%d" % (generation, run_start)

    def events(self, metric: int, user: bytes) -> bytes:
        """The events of a user on a metric."""
        return self._base + b"events:%d:" % metric + user

    def void_events(self, metric: int, user: bytes) -> bytes:
        """The events of a user on a metric that are void."""
        return self._base + b"void:%d:" % metric + user

    def order(self, generation: int, run_group: RunGroup) -> bytes:
        """One order."""
        return self._of_group_field(b"order", generation, run_group_field(run_group))

    def values(self, generation: int, run_group: RunGroup) -> bytes:
        """The distinct values of one order."""
        return self._of_group_field(b"values", generation, run_group_field(run_group))

    def of_group_field(self, generation: int, field: bytes) -> list[bytes]:
        """All keys of one run and group, given as the field among those of the generation."""
        return [self._of_group_field(what, generation, field) for what in (b"order", b"values")]

    def _of_group_field(self, what: bytes, generation: int, field: bytes) -> bytes:
        return self._base + b"%b:%d:" % (what, generation) + field


class LedgerKeys:
    """The names of what a ledger has as a whole."""

    def __init__(self, ledger: str) -> None:
        base = f"{{{ledger}}}:".encode()
        self.shards = base + b"shards"
        self.kept = base + b"kept"
        self.begun = base + b"begun"
        self.lease = base + b"lease"
        self.leases = base + b"leases"


def user_name(scope: int, user_id: str) -> bytes:
    """How a user is called in keys and fields: no two users alike, and the shard follows from it."""
    return f"{scope}:{user_id}".encode()


def scope_and_id(name: bytes) -> tuple[int, str]:
    """Whom a name means."""
    scope, _, user_id = name.decode().partition(":")
    return int(scope), user_id


def shard_of(name: bytes, shards: int, inherited: int = 0) -> int:
    """The shard that a user lies in, for good: who is erased stays in the one that gave the number.

    Of users up to the number `inherited`, which no shard gave, that holds for those who were erased before.
    """
    number = _number_of_erased(name) if _ERASED in name else None
    return crc32(name) % shards if number is None else (number - inherited - 1) % shards


def erased_prefix(scope: int) -> bytes:
    """What comes before the number in the name of an erased user."""
    return b"%d" % scope + _ERASED


def _number_of_erased(name: bytes) -> int | None:
    _, user_id = scope_and_id(name)
    return int(user_id.rpartition("-")[2]) if is_anonymous(user_id) else None


def run_group_field(run_group: RunGroup) -> bytes:
    """A run and a group as a field."""
    return _pack(run_group)


def run_group_of(field: bytes) -> RunGroup:
    """The run and group of a field."""
    return _unpack_run_group(field)


def used_field(name: bytes, metric: int, key: str) -> bytes:
    """The use of an idempotency key."""
    return _pack((name, metric, key))


def note_field(generation: int, run_start: int, user_id: str) -> bytes:
    """Where a user stood in a run."""
    return b"%d:%d:" % (generation, run_start) + user_id.encode()


def begun_member(board: int, run_start: int) -> bytes:
    """A run of which days are kept."""
    return b"%d:%d" % (board, run_start)


def run_field(generation: int, run_start: int) -> bytes:
    """A run of a generation, where late events are counted and what is to be revised is noted."""
    return b"%d:%d" % (generation, run_start)


def run_of(field: bytes) -> tuple[int, int]:
    """The generation and the first day of the run of a field."""
    generation, _, run_start = field.partition(b":")
    return int(generation), int(run_start)
