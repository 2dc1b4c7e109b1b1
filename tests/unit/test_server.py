"""The composition root."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.config import load
from palmares.domain.errors import NotFound, Unavailable
from palmares.ledger.embedded.builder import Builder
from palmares.server import Server
from palmares.service.define_boards import create_boards
from palmares.service.define_metrics import create_metrics
from palmares.service.read_board import PageRequest, read_page
from palmares.service.record import NewEvent, record
from tests.definitions import day, items

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


async def test_a_start_goes_on_with_the_boards_in_the_making(tmp_path: Path) -> None:
    """They are seen when their rankings are complete, past events included."""
    settings = load({}, data=tmp_path)
    server = await Server.open(settings)
    [metric] = (await create_metrics(server.context, DEFAULT_SCOPE, items({"name": "Laps", "key": "laps"}))).things
    await record(server.context, DEFAULT_SCOPE, [NewEvent("laps", "ann", 5_000_000)])
    fields = {"name": "Laps", "key": "laps", "rank_by": "metric", "metric_id": metric.id, "start": day("2024-01-01")}
    [board] = (await create_boards(server.context, DEFAULT_SCOPE, items(fields))).things
    await server.context.catalog.save_boards([replace(board, asked_status="active", ready=False)])
    await server.close()

    server = await Server.open(settings)
    with pytest.raises(NotFound):
        await read_page(server.context, DEFAULT_SCOPE, "laps", PageRequest())
    await asyncio.gather(*server.context.activations._endings.values())
    page = await read_page(server.context, DEFAULT_SCOPE, "laps", PageRequest())
    assert [(row.user_id, row.value) for row in page.rows] == [("ann", 5_000_000)]
    await server.close()


async def test_a_server_that_makes_a_board_can_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for the rankings; the next start goes on."""
    settings = load({}, data=tmp_path)
    server = await Server.open(settings)
    fields = {"name": "Streak", "key": "streak", "rank_by": "streak"}
    [board] = (await create_boards(server.context, DEFAULT_SCOPE, items(fields))).things
    making = replace(board, asked_status="active", ready=False)
    await server.context.catalog.save_boards([making])
    begun = asyncio.Event()

    async def never_end(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Builder, "follow", never_end)
        server.context.activations.go_on(making)
        await begun.wait()
        await server.close()

    server = await Server.open(settings)
    await asyncio.gather(*server.context.activations._endings.values())
    assert [found.ready for found in server.context.catalog.definitions(DEFAULT_SCOPE).boards] == [True]
    await server.close()
