"""Lines of the shards' logs, found by their positions."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from palmares.ledger.valkey.keys import ShardKeys
from palmares.ledger.valkey.state import Logged, decode_line
from palmares.ledger.valkey.store import Store

_AT_ONCE = 1_000


async def lines_at(
    store: Store, keys: Mapping[int, ShardKeys], wanted: Collection[tuple[int, int]]
) -> dict[tuple[int, int], Logged]:
    """The lines at some positions of some shards, those that there are. One round trip for each thousand of a shard."""
    by_shard: dict[int, list[int]] = {}
    for place, position in sorted(wanted):
        by_shard.setdefault(place, []).append(position)
    pieces = [
        (place, positions[start : start + _AT_ONCE])
        for place, positions in by_shard.items()
        for start in range(0, len(positions), _AT_ONCE)
    ]
    told = await asyncio.gather(
        *(
            store.read([[b"XRANGE", keys[place].log, b"%d-0" % position, b"%d-0" % position] for position in positions])
            for place, positions in pieces
        )
    )
    found: dict[tuple[int, int], Logged] = {}
    for (place, _), answers in zip(pieces, told, strict=True):
        for answer in answers:
            found.update(((place, line.position), line) for line in logged_lines(answer))
    return found


def logged_lines(raw: Any) -> list[Logged]:
    """Entries of a stream, as the client gives them in either form: by id, or as a list of pairs."""
    return [_logged(*entry) for entry in entries(raw)]


def let_go_upto(oldest: Any) -> int:
    """The last line that a shard has let go of, by the oldest entry that it still has; 0 when it has all."""
    return min((before(*entry) for entry in entries(oldest)), default=0)


def before(position: int, fields: Mapping[bytes, bytes]) -> int:
    """The position of the line in front of one, which tells it where there is a gap; 0 for the first."""
    return int(fields.get(b"p", position - 1))


def entries(raw: Any) -> list[tuple[int, dict[bytes, bytes]]]:
    """Entries of a stream as they are, in either form: positions and fields."""
    pairs = raw.items() if isinstance(raw, dict) else raw or ()
    return [(int(bytes(identifier).partition(b"-")[0]), _fields(fields)) for identifier, fields in pairs]


def _fields(raw: Sequence[Any]) -> dict[bytes, bytes]:
    if raw and isinstance(raw[0], list):
        return dict(raw)
    return dict(zip(raw[::2], raw[1::2], strict=True))


def _logged(position: int, fields: Mapping[bytes, bytes]) -> Logged:
    line, target = decode_line(fields[b"l"])
    return Logged(position, int(fields[b"t"]), int(fields[b"n"]), line, target)
