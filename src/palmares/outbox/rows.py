"""Between the outbox's rows and what they stand for."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row

from palmares.domain.group import Group
from palmares.outbox.contract import Attempt, Batch, BoardNote, Delivery, Message, RankingNote, WatchNote

_COLUMNS: Final = {"users": "I", "groups": "I", "ranks": "I", "values": "q"}
_SWAPPED = sys.byteorder != "little"


def delivery_rows(message: Message, number: int) -> list[dict[str, Any]]:
    """The rows of a message's deliveries, none of which was attempted."""
    return [
        {
            "id": recipient.delivery,
            "message": number,
            "scope": message.scope,
            "webhook": recipient.webhook,
            "url": recipient.url,
            "event": message.event,
            "created": message.created,
            "status": "pending",
            "attempts": 0,
            "due": message.created,
        }
        for recipient in message.recipients
    ]


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """What an attempt changes of a delivery's row."""
    return {
        "url": attempt.url,
        "status": attempt.status,
        "attempts": attempt.attempts,
        "due": attempt.due,
        "last_attempt": attempt.at,
        "code": attempt.code,
        "problem": attempt.problem,
    }


def delivery(row: Row[Any]) -> Delivery:
    """A line of the log, of a row that has the body too."""
    return Delivery(**{name: row._mapping[name] for name in Delivery._fields})


def board_note(row: Row[Any]) -> BoardNote:
    """The note on a board."""
    return BoardNote(**row._mapping)


def ranking_row(note: RankingNote) -> dict[str, Any]:
    """The row of a note on a ranking."""
    return note._asdict() | {"group": group_text(note.group)}


def ranking_note(row: Row[Any]) -> RankingNote:
    """The note on a ranking."""
    return RankingNote(row.board, row.run_start, tuple(json.loads(row.group)), row.digest, row.until)


def group_text(group: Group) -> str:
    """A group as one text, always the same one."""
    return json.dumps(group, ensure_ascii=False, separators=(",", ":"))


def batch_row(batch: Batch) -> dict[str, Any]:
    """The row of a batch."""
    return batch._asdict() | {name: _bytes(getattr(batch, name)) for name in _COLUMNS}


def batch(row: Row[Any]) -> Batch:
    """The batch of a row."""
    columns = {name: _array(kind, row._mapping[name]) for name, kind in _COLUMNS.items()}
    return Batch(row.board, row.run_start, row.until, _groups(row.names), **columns)


def watch_note(row: Row[Any]) -> WatchNote:
    """The note of what is watched."""
    return WatchNote(row.changed, row.ranked, row.position, row.at)


def _groups(names: Sequence[Sequence[str]]) -> list[Group]:
    return [tuple(name) for name in names]


def _bytes(column: array[int]) -> bytes:
    if _SWAPPED:
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _array(kind: str, column: bytes) -> array[int]:
    numbers = array(kind, column)
    if _SWAPPED:
        numbers.byteswap()
    return numbers
