"""Which durability holds."""

import pytest

from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.promise import Promise, promise_of, sentence
from tests.ledger_world import Clock
from tests.valkey_servers import Address, fresh_name, one_server

pytestmark = pytest.mark.anyio

ALWAYS = {"appendonly": "yes", "appendfsync": "always"}
SECOND = {"appendonly": "yes", "appendfsync": "everysec"}
SYSTEM = {"appendonly": "yes", "appendfsync": "no"}
NOTHING = {"appendonly": "no", "appendfsync": "always"}


@pytest.mark.parametrize(
    ("settings", "promise"),
    [
        ([ALWAYS], "always"),
        ([SECOND], "second"),
        ([SYSTEM], "memory"),
        ([NOTHING], "memory"),
        ([ALWAYS, ALWAYS, SECOND], "second"),
        ([SECOND, NOTHING, ALWAYS], "memory"),
        ([], "memory"),
    ],
)
def test_the_promise_is_the_least_that_any_primary_keeps(settings: list[dict[str, str]], promise: Promise) -> None:
    assert promise_of(settings) == promise


def test_a_lesser_promise_names_the_setting_that_gives_a_better_one() -> None:
    assert "appendfsync always" in sentence("second")
    assert "appendonly yes" in sentence("memory")


def test_replicas_that_are_waited_for_are_part_of_the_promise() -> None:
    assert sentence("second", 1) == sentence("second") + "; one replica has it too: it outlives the loss of its server"
    assert "2 replicas have it too" in sentence("always", 2)


async def test_a_ledger_reads_its_promise_from_the_server(valkey: list[Address], valkey_cluster: list[Address]) -> None:
    """Also of every primary of a cluster."""
    promises = []
    for addresses in (valkey, valkey_cluster):
        ledger = await ValkeyLedger.open(addresses, [], Clock(), "worker", name=fresh_name())
        promises.append(ledger.promise)
        await ledger.close()
    assert promises == ["memory", "memory"]
    with one_server(appendonly="yes", appendfsync="always") as addresses:
        ledger = await ValkeyLedger.open(addresses, [], Clock(), "worker")
        assert ledger.promise == "always"
        await ledger.close()
