"""`palmares doctor` looks at real servers and folders, changes nothing, and its exit code tells."""

from pathlib import Path

from click.testing import CliRunner, Result

from palmares.cli import main
from tests.databases import Postgres
from tests.valkey_servers import Address, durable_server, free_port, fresh_name


def doctor(**variables: str) -> Result:
    given = {f"PALMARES_{name.upper()}": value for name, value in variables.items()}
    return CliRunner(env=given).invoke(main, ["doctor"])


def test_a_data_folder_is_looked_at_without_being_made(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    result = doctor(data=str(folder))

    assert result.exit_code == 0, result.output
    assert [line.split(":")[0] for line in result.output.splitlines() if not line.startswith(" ")] == [
        "ok        SQLite",
        f"ok        folder {folder}",
        result.output.splitlines()[2].split(":")[0],
    ]
    assert not folder.exists()


def test_a_folder_in_which_nothing_can_be_written_is_wrong(tmp_path: Path) -> None:
    """A file stands where it would be made."""
    result = doctor(data="/proc/palmares")

    assert result.exit_code == 1
    assert "wrong     folder /proc/palmares" in result.output
    assert "-> let the server's user write there" in result.output


def test_a_cluster_that_keeps_nothing_on_disk_is_wrong(postgres: Postgres, valkey_cluster: list[Address]) -> None:
    """Each primary is told by its address; PostgreSQL of the tests may lose what it has, too."""
    nodes = ",".join(f"{host}:{port}" for host, port in valkey_cluster)
    with postgres.database() as place:
        result = doctor(valkey_url=f"valkey://{nodes}", database_url=place.url, valkey_name=fresh_name())

    assert result.exit_code == 1
    assert "wrong     persistence" in result.output
    assert "-> set appendonly yes and appendfsync always" in result.output
    for host, port in valkey_cluster:
        assert f"ok        {host}:{port} Valkey: " in result.output
        assert f"ok        {host}:{port} clock: the same as here" in result.output
    assert "ok        PostgreSQL: " in result.output
    assert "ok        clock of PostgreSQL: the same as here" in result.output
    assert "wrong     PostgreSQL fsync: off" in result.output


def test_what_cannot_be_reached_is_wrong_and_the_rest_is_looked_at_all_the_same(
    postgres: Postgres, tmp_path: Path
) -> None:
    with durable_server(tmp_path) as server, postgres.database() as place:
        up = doctor(
            valkey_url=f"valkey://{server.host}:{server.port}", database_url="postgresql://nobody@127.0.0.1:1/none"
        )
        down = doctor(valkey_url=f"valkey://127.0.0.1:{free_port()}", database_url=place.url)

    assert (up.exit_code, down.exit_code) == (1, 1)
    assert "ok        persistence: what was answered is on disk" in up.output
    assert "ok        ledger: will be made with 1 shard" in up.output
    assert "wrong     PostgreSQL: " in up.output
    assert "wrong     Valkey: Valkey does not answer" in down.output
    assert "ok        PostgreSQL: " in down.output
