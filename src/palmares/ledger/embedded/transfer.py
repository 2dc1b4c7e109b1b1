"""The log of a data folder as it is moved to another ledger, or comes from one, while nobody else has the folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from palmares.domain.erased import anonymous_id, is_anonymous
from palmares.domain.errors import NotAllowed
from palmares.ledger.embedded.folder import Folder
from palmares.ledger.embedded.log import ERASURE, EVENT, POINTS, USER, VOID, Line, Log
from palmares.ledger.whole_line import WholeLine

_KINDS = {EVENT: "event", USER: "user", VOID: "void", ERASURE: "erasure", POINTS: "points"}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}
_LINES_PER_PIECE = 5_000


class FolderLog:
    """The log of a folder, which this process has until `close`."""

    def __init__(self, path: Path) -> None:
        """Raises `FolderInUse` when another process has the folder."""
        self._folder = Folder(path)
        try:
            self._log = Log(self._folder.log)
        except BaseException:
            self._folder.release()
            raise

    @property
    def position(self) -> int:
        """The last line; 0 when there is none."""
        return self._log.position

    def pieces(self) -> Iterator[list[WholeLine]]:
        """All lines in order, some at a time."""
        after = 0
        ids: dict[int, str] = {0: ""}
        while lines := self._log.read(after, _LINES_PER_PIECE):
            after = lines[-1].position
            yield [_whole(line, ids) for line in lines]

    @property
    def is_put_together(self) -> bool:
        """Whether ids of events are made of places in other logs."""
        return self._log.last_origin > 0

    def position_of_origin(self, origin: int) -> int | None:
        """Where an event is that was at a place in another log."""
        return self._log.position_of_origin(origin)

    def append(self, lines: Sequence[WholeLine], origins: Sequence[tuple[int, int]] = ()) -> None:
        """Add lines behind the last; durable on return. Where events were at other places, `origins` has both, and ids
        are made of those."""
        self._log.append([_line(line) for line in lines])
        self._log.append_origins(origins)
        self._log.commit()
        self._log.position = lines[-1].position

    def close(self) -> None:
        """Let go of the folder."""
        self._log.close()
        self._folder.release()


def _whole(line: Line, ids: dict[int, str]) -> WholeLine:
    """The line of a user has the id; those behind it mean the same user. Of an erased one, blanks are left."""
    if line.kind == USER:
        ids[line.user] = (line.user_id or "").strip() or anonymous_id(line.user)
    elif line.kind == ERASURE and not is_anonymous(ids[line.user]):
        raise NotAllowed(
            f"line {line.position} erases a user of whom something is left in the files: run `palmares compact` first"
        )
    return WholeLine(
        line.position, _KINDS[line.kind], line.recorded_at, line.scope, line.user, ids[line.user], line.metric,
        line.amount, line.occurred_at, line.local_at, bool(line.late), line.total, line.idempotency_key, line.body,
        bool(line.history), line.streak, line.target,
    )  # fmt: skip


def _line(line: WholeLine) -> Line:
    late = None if line.metric is None else int(line.late)
    return Line(
        line.position, _NUMBERS[line.kind], line.recorded_at, line.scope, line.user, line.metric, line.amount,
        line.occurred_at, line.local_at, late, line.total, line.idempotency_key,
        line.user_id if line.kind == "user" else None, line.body, int(line.history) or None, line.streak, line.target,
    )  # fmt: skip
