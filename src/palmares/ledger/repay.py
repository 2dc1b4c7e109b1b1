"""What a user has earned in a points system, worked out anew from an event on that is void.

Whoever loses an event crosses later multiples of a threshold with other events. Awards that hold stay as they are;
those that do not become void, and what is earned instead is recorded. The user is judged by the attributes of now,
the events by the triggers of then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from palmares.domain.points import Earned, OwnEvent, Scheme, earned_anew
from palmares.ledger.logged import LoggedEvent
from palmares.ledger.points import award_of

_ATTRIBUTES = msgspec.json.Decoder(dict[str, str])


L = TypeVar("L", bound=LoggedEvent)


class Repayment(NamedTuple, Generic[L]):
    """The lines of awards that no longer hold, and what is earned that nobody has paid, with the line of its event."""

    gone: list[L]
    owed: list[tuple[L, Earned]]


def repay(
    versions: Sequence[tuple[int, Scheme]],
    events: Iterable[L],
    awards: Sequence[L],
    position: int,
    user_attributes: Mapping[str, str],
) -> Repayment[L]:
    """What is to become of a user's awards of one system, now that the event at that position is void.

    `events` are what the user did on the metrics of the system and is not void, `awards` what is not void of what the
    system paid, both in the order of the log; `versions` are as `earned_anew` takes them.
    """
    events = list(events)
    behind = {line.position: line for line in events if line.position > position}
    paid = {(award.target, award_of(award).trigger): award for award in awards if (award.target or 0) >= position}
    points = sum(award.amount or 0 for award in awards if (award.target or 0) < position)
    totals = _totals(line for line in events if line.position < position)
    owed: list[tuple[L, Earned]] = []
    for event, award in earned_anew(versions, map(_own_event, behind.values()), totals, points, user_attributes):
        present = paid.get((event.position, award.trigger))
        if present is not None and present.amount == award.amount:
            del paid[event.position, award.trigger]
        else:
            owed.append((behind[event.position], award))
    return Repayment(list(paid.values()), owed)


def _totals(events: Iterable[LoggedEvent]) -> dict[int, int]:
    totals: defaultdict[int, int] = defaultdict(int)
    for line in events:
        totals[line.metric or 0] += line.amount or 0
    return totals


def _own_event(line: LoggedEvent) -> OwnEvent:
    attributes = {} if line.body is None else _ATTRIBUTES.decode(line.body)
    return OwnEvent(line.position, line.metric or 0, line.amount or 0, attributes)
