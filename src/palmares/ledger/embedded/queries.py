"""The statements of `queries.sql`, by name."""

from __future__ import annotations

from importlib import resources


def _load() -> dict[str, str]:
    statements: dict[str, str] = {}
    for part in resources.files(__package__).joinpath("queries.sql").read_text().split("-- name: ")[1:]:
        name, _, body = part.partition("\n")
        statements[name.strip()] = body.strip()
    return statements


_STATEMENTS = _load()


def query(name: str) -> str:
    """The statement with that name."""
    return _STATEMENTS[name]
