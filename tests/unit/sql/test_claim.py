"""One server at a time has a PostgreSQL database."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from palmares.archive.sql import SqlArchive
from palmares.domain.errors import Unavailable
from palmares.sql.claim import Claim, DatabaseInUse
from tests.databases import Place, Postgres


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Place]:
    with postgres.database() as place:
        yield place


def test_a_second_one_is_refused_until_the_first_lets_go(database: Place) -> None:
    with closing(Claim(database.url)) as second:
        with closing(Claim(database.url)) as first:
            first.keep()
            first.keep()
            with pytest.raises(DatabaseInUse, match="another server uses the database"):
                second.keep()
        second.keep()


def test_databases_and_schemas_are_claimed_apart(postgres: Postgres, database: Place) -> None:
    """One server of PostgreSQL may serve many."""
    database.execute("CREATE SCHEMA other")
    with postgres.database() as another:
        urls = [database.url, another.url, f"{database.url}&options=-csearch_path%3Dother"]
        claims = [Claim(url) for url in urls]
        for claim in claims:
            claim.keep()
        for claim in claims:
            claim.close()


def test_who_lost_it_to_another_writes_nothing(postgres: Postgres, database: Place) -> None:
    """Two servers that write into one archive would overwrite each other's runs."""
    with (
        closing(Claim(database.url)) as first,
        closing(Claim(database.url)) as second,
        closing(SqlArchive.open(database.url, check_claim=first.check)) as archive,
    ):
        with postgres.away():
            pass
        second.keep()
        with pytest.raises(Unavailable, match="another server uses the database"):
            archive.begin_edition(7)

        second.close()
        # Nobody has to look first: whoever writes takes it.
        archive.begin_edition(7)
        with pytest.raises(DatabaseInUse):
            second.keep()


def test_a_schema_that_does_not_exist_is_told_as_such(database: Place) -> None:
    """It is no other server that uses it. Made afterwards, it can be claimed."""
    with closing(Claim(f"{database.url}&options=-csearch_path%3Dmissing")) as claim:
        with pytest.raises(Unavailable, match="no schema of those that search_path names"):
            claim.keep()
        database.execute("CREATE SCHEMA missing")
        claim.keep()


def test_it_is_taken_again_after_the_database_was_away(postgres: Postgres, database: Place) -> None:
    """Whoever comes first has it."""
    with closing(Claim(database.url)) as first, closing(Claim(database.url)) as second:
        first.keep()
        with postgres.away(), pytest.raises(Unavailable, match="does not work"):
            first.keep()
        assert first.away
        first.keep()
        assert not first.away
        with pytest.raises(DatabaseInUse):
            second.keep()


def test_a_session_that_did_not_get_it_is_not_taken_for_the_claim(database: Place) -> None:
    """PostgreSQL may refuse a lock and keep the connection, as when its table of locks is full."""
    lock = "public.pg_try_advisory_lock(bigint)"
    full = "RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'out of shared memory'; END $$"
    database.execute(f"CREATE FUNCTION {lock} {full}")
    with closing(Claim(f"{database.url}&options=-csearch_path%3Dpublic,pg_catalog")) as claim:
        for _ in range(2):
            with pytest.raises(Unavailable, match="does not work"):
                claim.keep()
        assert claim.away

        database.execute(f"DROP FUNCTION {lock}")
        claim.keep()
        assert not claim.away
        with closing(Claim(database.url)) as second, pytest.raises(DatabaseInUse):
            second.keep()
