"""By which schemes each scope pays points, at present.

What an event earned stands in the log, and so does every change of the schemes: which of them held at a position can
be told from the log alone. Reading and writing it is here; `domain/points.py` says what is paid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from palmares.domain.points import Earned, Scheme
from palmares.ledger.contract import Award
from palmares.ledger.embedded.event_id import event_id
from palmares.ledger.embedded.log import Line


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


def award_of(line: Line) -> Award:
    """The award of a line, which is an event on the counter of a points system."""
    assert line.metric is not None
    assert line.amount is not None
    assert line.total is not None
    assert line.occurred_at is not None
    identifier = event_id(line.recorded_at, line.position)
    trigger = _AWARD.decode(line.body or "{}").trigger
    return Award(identifier, line.metric, trigger, line.amount, line.total, line.occurred_at)


class Points:
    """The schemes in force, found by scope and by metric."""

    def __init__(self, schemes: Mapping[int, Sequence[Scheme]]) -> None:
        self._by_scope: dict[int, tuple[Scheme, ...]] = {}
        self._by_metric: dict[int, tuple[Scheme, ...]] = {}
        for scope, some in schemes.items():
            self.define(scope, some)

    def schemes(self, scope: int) -> tuple[Scheme, ...]:
        """What a scope pays by."""
        return self._by_scope.get(scope, ())

    def paying(self, metric: int) -> tuple[Scheme, ...]:
        """The schemes that may pay for events of a metric, mostly none. A look-up: every event asks."""
        return self._by_metric.get(metric, ())

    def define(self, scope: int, schemes: Sequence[Scheme]) -> None:
        """Pay by these schemes from now on."""
        for metric in _metrics(self.schemes(scope)):
            del self._by_metric[metric]
        self._by_scope[scope] = tuple(schemes)
        for metric in _metrics(schemes):
            paying = [scheme for scheme in schemes if any(rule.metric == metric for rule in scheme.rules)]
            self._by_metric[metric] = tuple(paying)


def _metrics(schemes: Sequence[Scheme]) -> set[int]:
    """A metric belongs to one scope, so no two scopes pay for events of the same."""
    return {rule.metric for scheme in schemes for rule in scheme.rules}
