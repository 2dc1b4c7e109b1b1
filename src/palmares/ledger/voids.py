"""What follows for one board when an event is void; the same while it happens, in a replay and in a build."""

from __future__ import annotations

from typing import NamedTuple

from palmares.domain.changes import Plan
from palmares.domain.effect import changes_what_is_over, effect_at, is_late, void_effect_at
from palmares.domain.run import Run
from palmares.ledger.logged import LoggedEvent


class Consequence(NamedTuple):
    """What a void does in a run. `ignored` says that the void came too late and nothing changes; else the event is
    taken out of the present state, of a run that is `live`, and of what is `over` of the run."""

    run: Run
    ignored: bool
    live: bool
    over: bool


def consequence(plan: Plan, event: LoggedEvent, voided_at: int) -> Consequence | None:
    """What the void of an event at an instant does on a board that looks at such events; None for nothing."""
    assert event.local_at is not None
    assert event.occurred_at is not None
    run = plan.run_concerned(event.local_at)
    if run is None:
        return None
    rule = plan.board.late_events
    effect = effect_at(run, rule, event.recorded_at, event.occurred_at, bool(event.history))
    if effect is None:
        return None
    if void_effect_at(run, rule, effect, voided_at) is None:
        return Consequence(run, ignored=True, live=False, over=False)
    late = is_late(run, voided_at)
    return Consequence(run, ignored=False, live=not late, over=changes_what_is_over(run, effect, voided_at))
