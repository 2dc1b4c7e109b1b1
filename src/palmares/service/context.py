"""What every action is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from palmares.catalog.contract import Catalog
from palmares.ledger.contract import Ledger


@dataclass(frozen=True, slots=True)
class Context:
    """The parts that actions work with.

    `clock` tells the present instant, `new_id` makes a UUID, `new_secret` random letters and digits, so many of them.
    """

    ledger: Ledger
    catalog: Catalog
    clock: Callable[[], int]
    new_id: Callable[[], str]
    new_secret: Callable[[int], str]
