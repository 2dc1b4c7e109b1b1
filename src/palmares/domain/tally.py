"""How the events of one user in one run become a value.

The events are taken in the order in which they happened (`occurred_at`), those of one instant in the order of the
log. `reached_at` is the time of the event that gave the present value: an event that leaves the value as it is does
not move it, and the first event sets it. The outcome does not depend on the order in which events arrive; `step`
folds one event into a tally and says when it would need the others for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from palmares.domain.board import Aggregation
from palmares.domain.value import MICROS


class Tally(NamedTuple):
    """A participant's number in a run, in micros, and the instant it was reached."""

    value: int
    reached_at: int


def step(
    aggregation: Aggregation, before: tuple[int, int] | None, amount: int, occurred_at: int, in_order: bool
) -> Tally | None:
    """The tally after one more event; None when it came late and only all events together can tell.

    `before` is a tally or its plain pair. `in_order` says that no event of this user and metric happened after this
    one. Constant time.
    """
    if before is None:
        return Tally(MICROS if aggregation == "count" else amount, occurred_at)
    value, reached_at = before
    if not in_order:
        return _insert(aggregation, value, reached_at, amount, occurred_at)
    if aggregation == "sum":
        after = value + amount
    elif aggregation == "count":
        after = value + MICROS
    elif aggregation == "max":
        after = max(value, amount)
    elif aggregation == "min":
        after = min(value, amount)
    else:
        after = amount
    return Tally(after, reached_at if after == value else occurred_at)


def fold(aggregation: Aggregation, events: Iterable[tuple[int, int]]) -> Tally | None:
    """The tally of (amount, occurred_at) pairs that are already in order; None when there are none."""
    tally: Tally | None = None
    for amount, occurred_at in events:
        tally = step(aggregation, tally, amount, occurred_at, in_order=True)
    return tally


def _insert(aggregation: Aggregation, value: int, reached_at: int, amount: int, occurred_at: int) -> Tally | None:
    if aggregation == "count":
        return Tally(value + MICROS, max(reached_at, occurred_at))
    if aggregation == "sum":
        if not value:
            # Zero does not tell whether an event has moved the value yet or only opened it.
            return None
        return Tally(value + amount, max(reached_at, occurred_at) if amount else reached_at)
    if aggregation == "last":
        return None
    if amount == value:
        return Tally(value, min(reached_at, occurred_at))
    better = amount > value if aggregation == "max" else amount < value
    return Tally(amount, occurred_at) if better else Tally(value, reached_at)
