"""A line of the log with all that any ledger keeps of it, for moving a log from one ledger to another."""

from __future__ import annotations

from typing import NamedTuple


class WholeLine(NamedTuple):
    """One line. `kind` is that of its `Record`, and so are the fields that have the same name there.

    `user_id` is the user's at that time; `late` and `history` are marks of events, and `streak` is what the line keeps
    of the user's streak (`domain/streak.py`).
    """

    position: int
    kind: str
    recorded_at: int
    scope: int
    user: int
    user_id: str
    metric: int | None = None
    amount: int | None = None
    occurred_at: int | None = None
    local_at: int | None = None
    late: bool = False
    total: int | None = None
    idempotency_key: str | None = None
    body: str | None = None
    history: bool = False
    streak: str | None = None
    target: int | None = None
