"""What both kinds of database promise to the parts in them."""

from collections.abc import Iterator
from contextlib import closing
from threading import Thread

import pytest

from palmares.archive.sql import SqlArchive
from palmares.domain.errors import Unavailable
from palmares.sql.database import Database, Part
from tests.databases import Place, Postgres

NUMBERS = Part("list of numbers", "palmares.nothing:migrations", "nothing_version")


@pytest.fixture
def database(place: Place) -> Iterator[Database]:
    place.execute("CREATE TABLE numbers (number integer PRIMARY KEY)")
    with closing(Database(place.url, NUMBERS)) as database:
        yield database


def count(database: Database) -> int:
    with database.reading() as reader:
        return int(reader.exec_driver_sql("SELECT count(*) FROM numbers").scalar_one())


def insert(database: Database, *numbers: int) -> None:
    with database.writing() as writer:
        for number in numbers:
            writer.exec_driver_sql(f"INSERT INTO numbers VALUES ({number})")


def read(database: Database, statement: str) -> None:
    with database.reading() as reader:
        reader.exec_driver_sql(statement)


def test_a_writer_that_read_first_is_not_overtaken(database: Database) -> None:
    """Each takes the number after the greatest, many at once: no number is taken twice."""

    def add_next() -> None:
        for _ in range(5):
            with database.writing() as writer:
                after = writer.exec_driver_sql("SELECT coalesce(max(number), 0) + 1 FROM numbers").scalar_one()
                writer.exec_driver_sql(f"INSERT INTO numbers VALUES ({after})")

    threads = [Thread(target=add_next) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert count(database) == 20


def test_what_fails_is_undone_and_told_plainly(database: Database) -> None:
    """And the connection is as good as before."""
    insert(database, 1)
    with pytest.raises(Unavailable, match="another process has just changed the same in the list of numbers") as caught:
        insert(database, 2, 1)
    with pytest.raises(Unavailable, match="the list of numbers's database does not work at present"):
        read(database, "SELECT * FROM letters")

    assert caught.value.__cause__ is not None
    assert count(database) == 1


def test_a_reader_writes_nothing(postgres: Postgres) -> None:
    """On PostgreSQL, where the connection can say so."""
    with postgres.database() as place:
        place.execute("CREATE TABLE numbers (number integer PRIMARY KEY)")
        with closing(Database(place.url, NUMBERS)) as database, pytest.raises(Unavailable):
            read(database, "INSERT INTO numbers VALUES (1)")


def test_nobody_writes_without_the_lock_of_a_schema_that_does_not_exist(postgres: Postgres) -> None:
    """Commands have no claim that would tell."""
    with postgres.database() as place:
        url = f"{place.url}&options=-csearch_path%3Dmissing"
        with closing(Database(url, NUMBERS)) as database:
            with pytest.raises(Unavailable, match="no schema of those that search_path names"):
                insert(database, 1)
            with pytest.raises(Unavailable, match="no schema of those that search_path names"):
                database.take_turn()


def test_a_turn_outlasts_what_the_server_allows_idle_transactions(postgres: Postgres) -> None:
    """It is had for as long as an activation takes, without a word to the server."""
    with postgres.database() as place, closing(Database(place.url, NUMBERS)) as database:
        held = "SELECT state FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted"
        for _ in range(2):
            give_back = database.take_turn()
            assert place.execute(held) == [("idle",)]
            give_back()
            assert not place.execute(held)


def test_a_connection_that_broke_is_not_lent(postgres: Postgres) -> None:
    """Nobody sees that the server was started again."""
    with postgres.database() as place, closing(SqlArchive.open(place.url)) as archive:
        edition = archive.edition(7)
        with postgres.away():
            pass
        assert archive.edition(7) == edition


def test_while_it_is_known_to_be_away_no_reader_waits_for_it(database: Database, place: Place) -> None:
    """Some would wait on the event loop. Writers have threads of their own."""
    away = True
    with closing(Database(place.url, NUMBERS, lambda: away)) as reached:
        with pytest.raises(Unavailable, match="the list of numbers's database is away at present"):
            count(reached)
        insert(reached, 1)
        away = False
        assert count(reached) == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [("mysql://db/scores", "no database is called mysql"), ("scores", "the address of the database cannot be read")],
)
def test_an_address_of_something_else_is_refused(url: str, message: str) -> None:
    with pytest.raises(Unavailable, match=message):
        Database(url, NUMBERS)


def test_a_database_that_could_not_hold_every_text_is_refused(postgres: Postgres) -> None:
    """Names are in all the letters of the world."""
    refused = pytest.raises(Unavailable, match="has the encoding SQL_ASCII; Palmares needs UTF8")
    with postgres.database("template0 ENCODING 'SQL_ASCII'") as place, refused:
        SqlArchive.open(place.url)
