"""The scripts that run in Valkey, by name: each says on top what its keys and arguments are."""

from __future__ import annotations

from importlib import resources


def source(name: str) -> str:
    """The text of a script."""
    return resources.files(__package__).joinpath(f"{name}.lua").read_text()
