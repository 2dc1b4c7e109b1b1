"""The composition root."""

from pathlib import Path

import pytest

from palmares.config import load
from palmares.domain.errors import Unavailable
from palmares.server import Server

pytestmark = pytest.mark.anyio


async def test_closing_lets_go_of_the_folder_when_the_catalog_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a key was last used is not worth more than an orderly end."""
    settings = load({}, data=tmp_path)
    server = await Server.open(settings)
    catalog = server.context.catalog
    [key] = catalog.keys()
    catalog.touch_key(key.id, 1)

    async def fail() -> bool:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(catalog, "refresh", fail)
    await server.close()

    await (await Server.open(settings)).close()
