"""Where a server of the tests keeps what it has: in a data folder, or on Valkey and PostgreSQL as a worker alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.process import Process
from tests.databases import Place, Postgres
from tests.valkey_servers import Address, fresh_name


@dataclass(frozen=True)
class Home:
    """One installation, with nothing in it at first. On a cluster, the folder stays empty."""

    data: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    database: Place | None = None

    @property
    def is_folder(self) -> bool:
        """Whether everything is in the folder."""
        return self.database is None

    def serve(self, *options: str, **given: str | None) -> Process:
        """Start a server on it: see `Process`."""
        return Process(self.data, *options, **{**self.variables, **given})


Homes = Callable[[Path], AbstractContextManager[Home]]


@contextmanager
def in_folder(folder: Path) -> Iterator[Home]:
    """A data folder in a folder of the test's."""
    yield Home(folder / "data")


def on_cluster(postgres: Postgres, nodes: Sequence[Address], shards: int) -> Homes:
    """A database and a name in Valkey for each."""

    @contextmanager
    def home(folder: Path) -> Iterator[Home]:
        with postgres.database() as database:
            variables = {
                "PALMARES_VALKEY_URL": "valkey://" + ",".join(f"{host}:{port}" for host, port in nodes),
                "PALMARES_VALKEY_NAME": fresh_name(),
                "PALMARES_VALKEY_SHARDS": str(shards),
                "PALMARES_DATABASE_URL": database.url,
            }
            yield Home(folder / "data", variables, database)

    return home
