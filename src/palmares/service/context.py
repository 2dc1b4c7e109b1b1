"""What every action is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from palmares.catalog.contract import Catalog
from palmares.ledger.contract import Ledger
from palmares.outbox.contract import Outbox
from palmares.service.activate import Activations


@dataclass(frozen=True, slots=True)
class Context:
    """The parts that actions work with.

    `clock` tells the present instant, `new_id` makes a UUID, `new_secret` random letters and digits, so many of them.
    `allow_private_webhooks` says whether webhooks may lie in private networks.
    """

    ledger: Ledger
    catalog: Catalog
    clock: Callable[[], int]
    new_id: Callable[[], str]
    new_secret: Callable[[int], str]
    outbox: Outbox
    allow_private_webhooks: bool = False
    activations: Activations = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "activations", Activations(self.ledger, self.catalog))
