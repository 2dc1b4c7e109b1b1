"""Where catalog, archive and outbox are: in files of the data folder, or together in a PostgreSQL database.

The log refers to metrics by their numbers in the catalog, so a folder that was begun with one catalog must not go on
with another. A folder whose catalog is in a database has a note of that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from palmares.domain.errors import PalmaresError

Part = Literal["catalog", "archive", "outbox"]
_NOTE: Final = "database"


class OtherDatabase(PalmaresError):
    """The data folder was begun with its catalog elsewhere."""


def address_of(part: Part, data: Path, database_url: str | None) -> str:
    """The URL of a part: the database's, or that of a file in the data folder."""
    return database_url or f"sqlite:///{data / f'{part}.sqlite3'}"


def check_folder(data: Path, database_url: str | None) -> None:
    """Raise `OtherDatabase` when the data folder goes with files and a database is given, or the other way round."""
    note = data / _NOTE
    if database_url is None and note.exists():
        place = note.read_text().strip()
        raise OtherDatabase(f"the catalog of the data folder {data} is in the database {place}; give its database_url")
    if database_url is not None and (data / "catalog.sqlite3").exists():
        raise OtherDatabase(
            f"the data folder {data} has a catalog of its own, catalog.sqlite3, and cannot go on with one in a "
            "database; leave database_url out, or take a new folder"
        )


def note_in_folder(data: Path, database_url: str | None) -> None:
    """Note in a data folder that its catalog is in a database, by an address without user and password."""
    if database_url is not None:
        parts = urlsplit(database_url)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        (data / _NOTE).write_text(f"{place}\n")
