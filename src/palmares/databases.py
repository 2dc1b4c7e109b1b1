"""Where catalog, archive and outbox are: in files of the data folder, or together in a PostgreSQL database.

The log refers to metrics by their numbers in the catalog, so a folder that was begun with one catalog must not go on
with another. A folder whose catalog is in a database has a note of which one that is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from palmares.archive.sql import SqlArchive
from palmares.catalog.sql import SqlCatalog
from palmares.domain.errors import PalmaresError
from palmares.machine import system_clock
from palmares.outbox.sql import SqlOutbox

Part = Literal["catalog", "archive", "outbox"]
_NOTE: Final = "database"
_PORT: Final = re.compile(r":\d+$")
_SEARCH_PATH: Final = re.compile(r"search_path=(\S+)")


class OtherDatabase(PalmaresError):
    """The events, in a data folder or in Valkey, were begun with another catalog."""


def address_of(part: Part, data: Path, database_url: str | None) -> str:
    """The URL of a part: the database's, or that of a file in the data folder."""
    return database_url or f"sqlite:///{data / f'{part}.sqlite3'}"


def check_folder(data: Path, database_url: str | None) -> None:
    """Raise `OtherDatabase` when the data folder goes with files or another database than what is given."""
    note = data / _NOTE
    noted = note.read_text().strip() if note.exists() else None
    if database_url is None and noted is not None:
        raise OtherDatabase(f"the catalog of the data folder {data} is in the database {noted}; give its database_url")
    # The note is empty when the process died as it wrote it.
    if database_url is not None and noted and noted != _place(database_url):
        raise OtherDatabase(
            f"the catalog of the data folder {data} is in the database {noted}, not in {_place(database_url)}; if it "
            f"was moved or renamed, with all that is in it, write its new place into the file {note}"
        )
    if database_url is not None and (data / "catalog.sqlite3").exists():
        raise OtherDatabase(
            f"the data folder {data} has a catalog of its own, catalog.sqlite3, and cannot go on with one in a "
            "database; leave database_url out, or take a new folder"
        )


def note_in_folder(data: Path, database_url: str | None) -> None:
    """Note in a data folder that its catalog is in a database, by an address without user and password."""
    if database_url is not None:
        (data / _NOTE).write_text(f"{_place(database_url)}\n")


async def open_catalog(
    data: Path,
    clock: Callable[[], int] = system_clock,
    multi_tenancy: bool = False,
    database_url: str | None = None,
) -> SqlCatalog:
    """The catalog of a data folder, in it or in a database; what is missing is made.

    `multi_tenancy` is for its first environment. Raises `OtherDatabase` when the folder was begun with another catalog.
    """
    await asyncio.to_thread(check_folder, data, database_url)
    if database_url is None:
        await asyncio.to_thread(data.mkdir, parents=True, exist_ok=True)
    return await SqlCatalog.open(address_of("catalog", data, database_url), clock, multi_tenancy)


async def open_outbox(
    data: Path, database_url: str | None = None, check_claim: Callable[[], None] = lambda: None
) -> SqlOutbox:
    """The outbox of a data folder, which exists if the outbox is in it; `check_claim` may refuse what writes."""
    return await SqlOutbox.open(address_of("outbox", data, database_url), check_claim)


def open_archive(
    data: Path,
    database_url: str | None = None,
    is_away: Callable[[], bool] = lambda: False,
    check_claim: Callable[[], None] = lambda: None,
) -> SqlArchive:
    """The archive of a data folder, in it or in a database that may be away or be another server's by now."""
    return SqlArchive.open(address_of("archive", data, database_url), is_away, check_claim)


def _place(database_url: str) -> str:
    """What tells one database and schema from another: no user, no password, and not how the connection is made."""
    parts = urlsplit(database_url)
    query = parse_qs(parts.query)
    host = parts.netloc.rpartition("@")[2] or ",".join(query.get("host", ()))
    if not _PORT.search(host):
        host = f"{host}:{','.join(query.get('port', ('5432',)))}"
    schemas = _SEARCH_PATH.findall(" ".join(query.get("options", ())))
    # PostgreSQL goes by the last.
    schema = f"?search_path={schemas[-1]}" if schemas else ""
    return f"postgresql://{host}{parts.path}{schema}"
