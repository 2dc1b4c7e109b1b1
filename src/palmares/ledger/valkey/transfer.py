"""Lines of a shard's log as they are moved to another ledger, or come from one."""

from __future__ import annotations

from typing import Any

from palmares.domain.errors import NotAllowed
from palmares.domain.log_line import LogLine
from palmares.ledger.valkey.state import Line, decode_line, encode_line
from palmares.ledger.whole_line import WholeLine

# What a line of a stream says besides what the script adds; both kinds of lines have the same names for it.
_FIELDS = [name for name in Line.__struct_fields__ if name in WholeLine._fields]
# What stands beside the line.
_BESIDE = {"position", "kind", "recorded_at", "user", "target"}
_EVERYTHING = {name for name in WholeLine._fields if name not in _BESIDE}


def whole_line(line: LogLine) -> WholeLine:
    """A line of the kept log as any ledger may take it. Right for the log of a single shard."""
    content = decode_line(line.content)
    told: dict[str, Any] = {name: getattr(content, name) for name in _FIELDS if name not in _BESIDE}
    return WholeLine(
        position=line.position,
        kind=line.kind,
        recorded_at=line.recorded_at,
        user=line.user,
        target=line.target,
        **told,
    )


def log_line(line: WholeLine) -> LogLine:
    """The line as the log of a single shard has it. Raises `NotAllowed` for what such a log cannot say yet."""
    unsaid = [name for name in _EVERYTHING.difference(_FIELDS) if getattr(line, name)]
    if unsaid or line.kind not in ("event", "user") or line.target is not None:
        what = f"{line.kind}s" if line.kind != "event" else "awards" if line.target else "events as history"
        raise NotAllowed(f"line {line.position}: the ledger on Valkey does not take {what} yet")
    content = Line(**{name: getattr(line, name) for name in _FIELDS})
    return LogLine(
        line.position, line.user, line.recorded_at, line.kind, line.scope, line.metric, line.amount, line.occurred_at,
        line.local_at, line.total, line.idempotency_key, line.target, line.body, encode_line(content),
    )  # fmt: skip
