"""One server for all tests that only use it; those that stop or kill theirs start their own."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.calls import Caller
from tests.acceptance.process import ADMIN_KEY, Process
from tests.valkey_servers import fresh_name

Start = Callable[..., Process]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Process]:
    """A running server that stays. Tests keep out of each other's way by the keys and ids that they use.

    With TEST_SERVER=cluster, it is a worker on a Valkey Cluster and PostgreSQL.
    """
    with ExitStack() as opened:
        variables = {}
        if os.environ.get("TEST_SERVER") == "cluster":
            nodes = request.getfixturevalue("valkey_cluster")
            database = opened.enter_context(request.getfixturevalue("postgres").database())
            variables = {
                "PALMARES_VALKEY_URL": "valkey://" + ",".join(f"{host}:{port}" for host, port in nodes),
                "PALMARES_VALKEY_NAME": fresh_name(),
                "PALMARES_VALKEY_SHARDS": "4",
                "PALMARES_DATABASE_URL": database.url,
            }
        yield opened.enter_context(Process(tmp_path_factory.mktemp("server") / "data", **variables))


@pytest.fixture(scope="session")
def caller(server: Process) -> Iterator[Caller]:
    """A plain client of the server that stays."""
    with Caller(server.address, ADMIN_KEY) as caller:
        yield caller


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers on the test's own folder; whatever still runs in the end is killed.

    `start()`, or `start("--user-cache", "9", PALMARES_QUEUE_LIMIT="1")`.
    """
    with ExitStack() as running:
        yield lambda *options, **given: running.enter_context(Process(tmp_path / "data", *options, **given))


@pytest.fixture
def call(start: Start) -> Iterator[Callable[[Process], Caller]]:
    """Make plain clients of servers that the test started."""
    with ExitStack() as open_clients:
        yield lambda process: open_clients.enter_context(Caller(process.address, ADMIN_KEY))
