"""Lines of a shard's log as they are moved to another ledger, or come from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palmares.domain.erased import is_anonymous
from palmares.domain.errors import NotAllowed
from palmares.domain.log_line import ARRIVAL, LogLine
from palmares.ledger.valkey.erasing import anonymous_line, is_anonymous_line
from palmares.ledger.valkey.numbering import Inherited
from palmares.ledger.valkey.state import Line, decode_line, encode_logged
from palmares.ledger.whole_line import WholeLine

# What a line of a stream says besides what the script adds; both kinds of lines have the same names for it.
_FIELDS = Line.__struct_fields__
_KINDS = {"event", "user", "void", "points", "erasure"}


def whole_line(line: LogLine) -> WholeLine:
    """A line of the kept log as any ledger may take it. Places are those in the log of the shard."""
    content, target = decode_line(line.content)
    told: dict[str, Any] = {name: getattr(content, name) for name in _FIELDS}
    return WholeLine(line.position, recorded_at=line.recorded_at, user=line.user, target=target, **told)


def arrival(inherited: Inherited, recorded_at: int) -> LogLine:
    """The line that ends what a ledger of several shards has taken over."""
    users = str(inherited.users)
    content = encode_logged(Line(0, "", users, kind=ARRIVAL), None)
    return LogLine(
        inherited.lines, 0, recorded_at, ARRIVAL, 0, None, None, None, None, None, None, None, users, content
    )  # fmt: skip


def inherited_by(line: LogLine | None) -> Inherited | None:
    """What a ledger has taken over, by the line that ends it."""
    return None if line is None else Inherited(line.position, int(line.body or 0))


def log_line(line: WholeLine) -> LogLine:
    """The line as the log of a shard has it, with the place that it has. Raises `NotAllowed` for what such a log cannot
    say yet."""
    if line.kind not in _KINDS:
        what = f"{line.kind}s"
        raise NotAllowed(f"line {line.position}: the ledger on Valkey does not take {what} yet")
    content = Line(**{name: getattr(line, name) for name in _FIELDS})
    told = LogLine(
        line.position, line.user, line.recorded_at, line.kind, line.scope, line.metric, line.amount, line.occurred_at,
        line.local_at, line.total, line.idempotency_key, line.target, line.body, encode_logged(content, line.target),
    )  # fmt: skip
    # A folder removes less of an erased user, and has blanks for it.
    return anonymous_line(told) if is_anonymous(line.user_id) else told


def check_compacted(erasures: Sequence[tuple[LogLine, LogLine]]) -> None:
    """Raise `NotAllowed` while the log still says who was erased, by the lines that tell so."""
    for line, _ in erasures:
        if not is_anonymous_line(line.content):
            raise NotAllowed(
                f"line {line.position} erases a user of whom something is left: start a worker, and wait until "
                "`nothing is left of erased users`"
            )
