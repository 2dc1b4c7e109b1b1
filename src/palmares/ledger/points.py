"""By which schemes each scope pays points, and paid before.

What an event earned stands in the log, and so does every change of the schemes: which of them held at a position can
be told from the log alone. Reading and writing it is here; `domain/points.py` says what is paid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from palmares.domain.points import Earned, Scheme
from palmares.ledger.contract import Award
from palmares.ledger.event_id import event_id
from palmares.ledger.logged import LoggedEvent


class _AwardBody(msgspec.Struct):
    trigger: str


_AWARD = msgspec.json.Decoder(_AwardBody)
_SCHEMES = msgspec.json.Decoder(tuple[Scheme, ...])


def encode_schemes(schemes: Sequence[Scheme]) -> str:
    """The body of a line that says by which schemes a scope pays from then on."""
    return msgspec.json.encode(schemes).decode()


def decode_schemes(body: str) -> tuple[Scheme, ...]:
    """The schemes of a body."""
    return _SCHEMES.decode(body)


def encode_award(earned: Earned) -> str:
    """The body of an award's line."""
    return msgspec.json.encode({"trigger": earned.trigger}).decode()


def award_of(line: LoggedEvent) -> Award:
    """The award of a line, which is an event on the counter of a points system."""
    assert line.metric is not None
    assert line.amount is not None
    assert line.total is not None
    assert line.occurred_at is not None
    identifier = event_id(line.recorded_at, line.position)
    trigger = _AWARD.decode(line.body or "{}").trigger
    return Award(identifier, line.metric, trigger, line.amount, line.total, line.occurred_at)


class Points:
    """The schemes in force, found by scope and by metric, and those that were."""

    def __init__(self) -> None:
        # By scope: each set of schemes with the position from which it held, oldest first.
        self._versions: dict[int, list[tuple[int, tuple[Scheme, ...]]]] = {}
        self._by_metric: dict[int, tuple[Scheme, ...]] = {}

    def schemes(self, scope: int) -> tuple[Scheme, ...]:
        """What a scope pays by."""
        versions = self._versions.get(scope)
        return versions[-1][1] if versions else ()

    def paying(self, metric: int) -> tuple[Scheme, ...]:
        """The schemes that may pay for events of a metric, mostly none. A look-up: every event asks."""
        return self._by_metric.get(metric, ())

    def paying_since(self, scope: int, metric: int, position: int) -> Iterator[tuple[int, list[tuple[int, Scheme]]]]:
        """The points systems that may have paid for events of a metric since a position, told by their counters.

        Each comes with all forms that its scheme ever had, and the positions from which they held.
        """
        versions = self._versions.get(scope, [])
        since = [schemes for start, schemes in versions if start > position]
        before = [schemes for start, schemes in versions if start <= position][-1:]
        counters = {
            scheme.number
            for schemes in (*before, *since)
            for scheme in schemes
            if any(rule.metric == metric for rule in scheme.rules)
        }
        for counter in sorted(counters):
            yield counter, [(start, _scheme_of(counter, schemes)) for start, schemes in versions]

    def define(self, scope: int, schemes: Sequence[Scheme], position: int) -> None:
        """Pay by these schemes from a position on, which is behind those before."""
        for metric in _metrics(self.schemes(scope)):
            del self._by_metric[metric]
        self._versions.setdefault(scope, []).append((position, tuple(schemes)))
        for metric in _metrics(schemes):
            paying = [scheme for scheme in schemes if any(rule.metric == metric for rule in scheme.rules)]
            self._by_metric[metric] = tuple(paying)


def _scheme_of(counter: int, schemes: Sequence[Scheme]) -> Scheme:
    """The scheme of a counter, without rules where it is none of these."""
    return next((scheme for scheme in schemes if scheme.number == counter), Scheme(counter, "", None, ()))


def _metrics(schemes: Sequence[Scheme]) -> set[int]:
    """A metric belongs to one scope, so no two scopes pay for events of the same."""
    return {rule.metric for scheme in schemes for rule in scheme.rules}
