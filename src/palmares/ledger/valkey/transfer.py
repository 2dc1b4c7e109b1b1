"""Lines of a shard's log as they are moved to another ledger, or come from one."""

from __future__ import annotations

from typing import Any

from palmares.domain.errors import NotAllowed
from palmares.domain.log_line import LogLine
from palmares.ledger.valkey.state import Line, decode_line, encode_logged
from palmares.ledger.whole_line import WholeLine

# What a line of a stream says besides what the script adds; both kinds of lines have the same names for it.
_FIELDS = Line.__struct_fields__
_KINDS = {"event", "user", "void", "points"}


def whole_line(line: LogLine) -> WholeLine:
    """A line of the kept log as any ledger may take it. Right for the log of a single shard."""
    content, target = decode_line(line.content)
    told: dict[str, Any] = {name: getattr(content, name) for name in _FIELDS}
    return WholeLine(line.position, recorded_at=line.recorded_at, user=line.user, target=target, **told)


def log_line(line: WholeLine) -> LogLine:
    """The line as the log of a single shard has it. Raises `NotAllowed` for what such a log cannot say yet."""
    if line.kind not in _KINDS:
        what = f"{line.kind}s"
        raise NotAllowed(f"line {line.position}: the ledger on Valkey does not take {what} yet")
    content = Line(**{name: getattr(line, name) for name in _FIELDS})
    return LogLine(
        line.position, line.user, line.recorded_at, line.kind, line.scope, line.metric, line.amount, line.occurred_at,
        line.local_at, line.total, line.idempotency_key, line.target, line.body, encode_logged(content, line.target),
    )  # fmt: skip
