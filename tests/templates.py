"""Databases as they are when nothing is in them yet, made once by the migrations and copied from then on.

To run all migrations takes longer than most tests; tests/migration is about them.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from palmares.archive.sql import SqlArchive
from palmares.catalog.sql import SqlCatalog

_CATALOGS: dict[int, bytes] = {}


def place(file: Path, content: bytes) -> None:
    """Put a file there, unless there is one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


async def empty_catalog(now: int) -> bytes:
    """The file of a catalog that was made at an instant."""
    if now not in _CATALOGS:
        with TemporaryDirectory() as folder:
            made = Path(folder) / "catalog"
            await (await SqlCatalog.open(f"sqlite:///{made}", lambda: now)).close()
            _CATALOGS[now] = _only_file(made)
    return _CATALOGS[now]


@cache
def empty_archive() -> bytes:
    """The file of an archive."""
    with TemporaryDirectory() as folder:
        made = Path(folder) / "archive"
        SqlArchive.open(f"sqlite:///{made}").close()
        return _only_file(made)


def _only_file(made: Path) -> bytes:
    assert [*made.parent.iterdir()] == [made], "closing leaves nothing beside the file"
    return made.read_bytes()
