"""A data folder goes on with the catalog that it was begun with."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from palmares.cli import main
from palmares.databases import OtherDatabase, address_of, check_folder, note_in_folder

URL = "postgresql://me:hunter2@db.example:5432/scores?sslmode=require"


def test_without_a_database_each_part_is_a_file_of_the_folder(tmp_path: Path) -> None:
    assert address_of("outbox", tmp_path, None) == f"sqlite:///{tmp_path / 'outbox.sqlite3'}"


def test_with_a_database_all_parts_are_in_it(tmp_path: Path) -> None:
    assert address_of("catalog", tmp_path, URL) == address_of("archive", tmp_path, URL) == URL


@pytest.mark.parametrize("url", [None, URL])
def test_a_new_folder_may_begin_either_way_and_go_on_so(tmp_path: Path, url: str | None) -> None:
    check_folder(tmp_path, url)
    note_in_folder(tmp_path, url)
    check_folder(tmp_path, url)


def test_a_folder_that_began_with_a_database_does_not_go_on_without(tmp_path: Path) -> None:
    """The message tells which one it was, and no password."""
    note_in_folder(tmp_path, URL)

    with pytest.raises(OtherDatabase, match=r"is in the database postgresql://db.example:5432/scores;") as caught:
        check_folder(tmp_path, None)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "other",
    [
        "postgresql://me@db.example/results",
        "postgresql://me@other.example/scores",
        "postgresql://me@db.example:5433/scores",
        "postgresql://me@db.example/scores?options=-csearch_path%3Dother",
        "postgresql://me@/scores?host=/run/postgresql",
    ],
)
def test_a_folder_that_began_with_a_database_does_not_go_on_with_another(tmp_path: Path, other: str) -> None:
    """Unless somebody who knows that it is the same one has changed the note."""
    note_in_folder(tmp_path, URL)

    with pytest.raises(OtherDatabase, match="if it was moved or renamed") as caught:
        check_folder(tmp_path, other)
    _, _, place = str(caught.value).partition(", not in ")
    (tmp_path / "database").write_text(place.partition(";")[0])
    check_folder(tmp_path, other)


def test_the_same_database_may_be_reached_in_another_way(tmp_path: Path) -> None:
    """By another user, and with other settings of the connection."""
    note_in_folder(tmp_path, URL)

    check_folder(tmp_path, "postgresql://you@db.example/scores?options=-cwork_mem%3D8MB&connect_timeout=5")


def test_a_note_that_was_never_written_out_refuses_no_database(tmp_path: Path) -> None:
    (tmp_path / "database").touch()

    check_folder(tmp_path, URL)


def test_a_folder_that_has_a_catalog_does_not_go_on_with_a_database(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite3").touch()

    with pytest.raises(OtherDatabase, match="has a catalog of its own"):
        check_folder(tmp_path, URL)


def test_a_command_makes_no_catalog_in_a_folder_whose_catalog_is_in_a_database(tmp_path: Path) -> None:
    """Neither does a server: both open it the same way."""
    note_in_folder(tmp_path, URL)

    done = CliRunner().invoke(main, ["keys", "list", "--data", str(tmp_path)])

    assert (done.exit_code, "give its database_url" in done.output) == (1, True)
    assert not (tmp_path / "catalog.sqlite3").exists()


def test_with_a_database_a_command_needs_no_folder_and_makes_none(tmp_path: Path) -> None:
    """It works on any machine; here it gets as far as asking for the database."""
    gone = tmp_path / "gone"
    url = f"postgresql://nobody@/nothing?host={gone}"

    done = CliRunner().invoke(main, ["keys", "list", "--data", str(gone), "--database-url", url])

    assert (done.exit_code, "the catalog's database does not work at present" in done.output) == (1, True)
    assert not gone.exists()
