"""What every action is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from palmares.catalog.contract import Catalog
from palmares.ledger.contract import Ledger
from palmares.outbox.contract import Outbox
from palmares.service.activate import Activations


async def _nothing() -> None:
    """Where nothing is announced."""


def _no_files() -> None:
    """Where there are no files to compact."""


def _always() -> bool:
    """Where there is one process."""
    return True


@dataclass(frozen=True, slots=True)
class Context:
    """The parts that actions work with.

    `clock` tells the present instant, `new_id` makes a UUID, `new_secret` random letters and digits, so many of them,
    and `sleep` waits for so many seconds. `allow_private_webhooks` says whether webhooks may lie in private networks.
    `take_note` lets announcements begin at once with boards and webhooks that were just defined. `compact_soon` has
    what is left of erased users removed from the files. `leads` tells whether work that goes on in the background is
    for this process.
    """

    ledger: Ledger
    catalog: Catalog
    clock: Callable[[], int]
    new_id: Callable[[], str]
    new_secret: Callable[[int], str]
    sleep: Callable[[float], Awaitable[None]]
    outbox: Outbox
    allow_private_webhooks: bool = False
    take_note: Callable[[], Awaitable[None]] = _nothing
    compact_soon: Callable[[], None] = _no_files
    leads: Callable[[], bool] = _always
    activations: Activations = field(init=False)

    def __post_init__(self) -> None:
        activations = Activations(self.ledger, self.catalog, self.sleep, self.take_note, self.leads)
        object.__setattr__(self, "activations", activations)
