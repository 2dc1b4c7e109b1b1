"""Who stood where in a run at the last boundary, though events go on being recorded.

Nothing is copied at a boundary, which would stop a shard for as long as its orders are. Instead, whoever moves while a
boundary is still to be kept leaves a note in the same script: where the user stood when the boundary passed. So the
orders are read in pieces, at leisure, and then the notes: who has one stood there, and everybody else has not moved,
and was seen once and only once.

Several boundaries may wait, when the archive was away. Of the notes behind each, the oldest that is not older than
the wanted boundary tells.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from palmares.domain.board import Board
from palmares.domain.group import Group
from palmares.domain.snapshot import DayEnd, Places, Rows
from palmares.domain.value import MOST
from palmares.ledger.contract import Ranks
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.keys import run_group_of, user_name
from palmares.ledger.valkey.member import Members
from palmares.ledger.valkey.notes import Notes, Passing, Stood
from palmares.ledger.valkey.shards import BoardsMoved, Shards
from palmares.ledger.valkey.store import Command

_MEMBERS_AT_ONCE = 5_000
_USERS_AT_ONCE = 1_000


class Ranked(NamedTuple):
    """The members of a group in order, over all shards, and everybody's number by user id."""

    board: Board
    groups: Mapping[Group, Sequence[bytes]]
    numbers: Mapping[str, int]


class Passed(NamedTuple):
    """What was there of all boards some time after a boundary had passed: the groups in each shard, by generation, and
    the boundaries that have passed since, by place of the shard.

    A group that comes later has nobody in it but who has moved, and stood elsewhere at the boundary.
    """

    boundary: int
    fields: Mapping[int, Mapping[int, Sequence[bytes]]]
    passes: Mapping[int, Sequence[bytes]]

    def runs(self, shards: Shards, board: Board) -> set[int]:
        """The first days of the runs in which anybody stands."""
        fields = (self.of(shard, board) for shard in shards.all)
        return {run_group_of(field)[0] for some in fields for field in some}

    def of(self, shard: Shard, board: Board) -> Sequence[bytes]:
        """The groups of a board in a shard. Raises `BoardsMoved` when it is made otherwise now."""
        found = self.fields[shard.place].get(shard.boards.current(board.number).generation)
        if found is None:
            raise BoardsMoved
        return found


async def passed(shards: Shards, boundary: int) -> Passed:
    """Look at all boards once. One round trip to each shard."""
    fields: dict[int, dict[int, Sequence[bytes]]] = {}
    passes: dict[int, Sequence[bytes]] = {}

    async def look(shard: Shard) -> None:
        generations = [making.generation for making in shard.boards]
        commands = [[b"HKEYS", shard.keys.groups(generation)] for generation in generations]
        *found, passes[shard.place] = await shards.ask(shard.place, [*commands, _passes(shard, boundary)])
        fields[shard.place] = dict(zip(generations, found, strict=True))

    await asyncio.gather(*map(look, shards.all))
    return Passed(boundary, fields, passes)


async def ranked_at(shards: Shards, board: Board, run_start: int, seen: Passed, notes: Notes) -> Ranked:
    """Who stood in the groups of a run when a boundary passed, which it has in all shards.

    Raises `BoardsMoved` when boards change meanwhile. Cost: reading the run's orders, and everybody's number.
    """
    members = Members(board)
    parts = await asyncio.gather(*(_part(shards, shard, board, run_start, seen, notes) for shard in shards.all))
    groups: dict[Group, list[bytes]] = {}
    for part in parts:
        for group, found in part.items():
            groups.setdefault(group, []).extend(found)
    for found in groups.values():
        found.sort()
    cap = MOST if board.max_participants is None else board.max_participants
    inside = {group: found[:cap] for group, found in sorted(groups.items()) if found}
    ids = [members.decode(member)[1] for found in inside.values() for member in found]
    return Ranked(board, inside, await _numbers(shards, board.scope, ids))


async def _part(
    shards: Shards, shard: Shard, board: Board, run_start: int, seen: Passed, notes: Notes
) -> dict[Group, Sequence[bytes]]:
    """What lies in one shard."""
    making, members = shard.boards.current(board.number), Members(board)
    run_groups = [one for one in map(run_group_of, seen.of(shard, board)) if one[0] == run_start and one[1] is not None]
    orders, moved = await _orders(shards, shard, [shard.keys.order(making.generation, one) for one in run_groups], seen)
    stood: dict[str, Stood] = {}
    for (_, group), order in zip(run_groups, orders, strict=True):
        for member in order:
            stood[members.decode(member)[1]] = Stood(group, member)
    for user_id, one in (await notes.of(shard, making, run_start, moved)).items():
        if one is None:
            stood.pop(user_id, None)
        else:
            stood[user_id] = one
    found: dict[Group, list[bytes]] = {}
    for group, member in stood.values():
        if group is not None:
            found.setdefault(group, []).append(member)
    return {group: sorted(some) for group, some in found.items()}


async def _orders(
    shards: Shards, shard: Shard, keys: Sequence[bytes], seen: Passed
) -> tuple[list[list[bytes]], list[Passing]]:
    """All members of some orders, and the boundaries, from the one that was seen on, behind which anybody may have
    moved by then.

    Nearly always that is one moment, in which nobody had. An order of many is read in pieces: one that moves meanwhile
    may be missed or seen twice.
    """
    passes = seen.passes[shard.place]
    commands = [_piece(key, b"-") for key in keys]
    commands += [[b"HLEN", shard.keys.notes(int(one))] for one in passes]
    *found, since = await shards.ask(shard.place, [*commands, _passes(shard, seen.boundary)])
    orders, counts = [list(order) for order in found[: len(keys)]], dict(zip(passes, found[len(keys) :], strict=True))
    # Behind the last one there may be more by now.
    lasting = {one: count for one, count in counts.items() if one not in since[-1:]}
    moved = [Passing(int(one), lasting.get(one)) for one in since if counts.get(one) != 0]
    for key, order in zip(keys, orders, strict=True):
        piece: Sequence[bytes] = order
        while len(piece) == _MEMBERS_AT_ONCE:
            piece, since = await shards.ask(shard.place, [_piece(key, b"(" + order[-1]), _passes(shard, seen.boundary)])
            order += piece
            moved = [Passing(int(one), lasting.get(one)) for one in since if lasting.get(one) != 0]
    return orders, moved


def _piece(key: bytes, first: bytes) -> Command:
    return [b"ZRANGE", key, first, b"+", b"BYLEX", b"LIMIT", b"0", b"%d" % _MEMBERS_AT_ONCE]


def _passes(shard: Shard, boundary: int) -> Command:
    """What asks for the boundaries that have passed since one, behind each of which there may be notes."""
    return [b"ZRANGE", shard.keys.passes, b"%d" % boundary, b"+inf", b"BYSCORE"]


async def _numbers(shards: Shards, scope: int, ids: Sequence[str]) -> dict[str, int]:
    """The numbers of users; who is not there any more is left out."""
    names = {user_name(scope, user_id): user_id for user_id in ids}
    found: dict[str, int] = {}
    for place, some in shards.by_shard(names).items():
        users = shards.all[place].keys.users
        for first in range(0, len(some), _USERS_AT_ONCE):
            piece = some[first : first + _USERS_AT_ONCE]
            numbers = await shards.store.script("numbers", [users], piece)
            found.update((names[name], number) for name, number in zip(piece, numbers, strict=True) if number)
    return found


class Line(NamedTuple):
    """A member of a group with its rank."""

    user: int
    rank: int
    value: int
    reached_at: int


def _lines(ranked: Ranked, group: Group) -> Iterator[Line]:
    """Who is ranked in a group, in order. Who is not there any more has a rank, but no line."""
    members, numbering = Members(ranked.board), ranked.board.numbering
    rank, held = 0, None
    for row, member in enumerate(ranked.groups[group]):
        value, reached_at, user_id = members.entry(member)
        if numbering == "ordinal" or (numbering == "competition" and value != held):
            rank = row + 1
        elif value != held:
            rank += 1
        held = value
        user = ranked.numbers.get(user_id)
        if user is not None:
            yield Line(user, rank, value, reached_at)


def columns(ranked: Ranked) -> tuple[list[tuple[Group, Rows]], Places]:
    """The rows of each group, and everybody's place, as the archive takes them. O(n log n)."""
    groups: list[tuple[Group, Rows]] = []
    places: list[tuple[int, int, int, int]] = []
    for number, group in enumerate(ranked.groups):
        rows = Rows(array("I"), array("q"), array("q"))
        for line in _lines(ranked, group):
            rows.participants.append(line.user)
            rows.values.append(line.value)
            rows.reached.append(line.reached_at)
            places.append((line.user, number, line.rank, line.value))
        groups.append((group, rows))
    users, numbers, ranks, values = zip(*sorted(places), strict=True) if places else ((), (), (), ())
    return groups, Places(array("I", users), array("I", numbers), array("I", ranks), array("q", values))


def end_of_day(day: int, ranked: Ranked) -> DayEnd:
    """Everybody's place at the end of a day, as the archive takes it. O(n log n)."""
    groups, places = columns(ranked)
    return DayEnd(day, [group for group, _ in groups], places)


def ranks_of(ranked: Ranked) -> Iterator[tuple[Group, Ranks]]:
    """Everybody's rank, group by group."""
    for group in ranked.groups:
        lines = sorted(_lines(ranked, group))
        yield (
            group,
            Ranks(
                array("I", [line.user for line in lines]),
                array("I", [line.rank for line in lines]),
                array("q", [line.value for line in lines]),
            ),
        )
