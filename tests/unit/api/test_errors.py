"""Every error has a status; those of adapters have that of what they are a kind of."""

import pytest

from palmares.api.errors import status_of
from palmares.domain.errors import NotFound, Overloaded, PalmaresError, RateLimited, Unavailable
from palmares.ledger.valkey.store import Halted, Lost
from palmares.sql.claim import DatabaseInUse


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("x"), 404),
        (Overloaded("x"), 429),
        (RateLimited("x"), 429),
        (Unavailable("x"), 503),
        (Lost("x"), 503),
        (Halted("x"), 503),
    ],
)
def test_an_error_has_the_status_of_its_kind(error: PalmaresError, status: int) -> None:
    assert status_of(error) == status


def test_what_never_reaches_a_client_has_none() -> None:
    """It would be a fault of ours."""
    with pytest.raises(StopIteration):
        status_of(DatabaseInUse("x"))
