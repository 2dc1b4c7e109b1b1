"""The composition root."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.config import load
from palmares.domain.errors import NotFound, Unavailable
from palmares.ledger.embedded.build import Build
from palmares.ledger.embedded.builder import Builder
from palmares.server import Server
from palmares.service import activate
from palmares.service.define_boards import create_boards, update_boards
from palmares.service.define_metrics import create_metrics
from palmares.service.read_board import PageRequest, read_page
from palmares.service.record import NewEvent, record
from palmares.sql.claim import Claim
from tests.databases import Postgres
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


async def test_the_catalog_is_read_again_also_while_the_claim_cannot_be_had(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that was revoked by a command lets nobody in any longer."""
    with postgres.database() as place:
        server = await Server.open(load({"PALMARES_DATABASE_URL": place.url}, data=tmp_path))
        catalog = server.context.catalog
        place.execute("DELETE FROM api_keys", "UPDATE revision SET number = number + 1")

        def fail(claim: Claim) -> None:
            raise Unavailable("no lock is to be had")

        with monkeypatch.context() as patch:
            patch.setattr(Claim, "keep", fail)
            with pytest.raises(Unavailable, match="no lock"):
                await server._look()
        assert not catalog.keys()
        await server.close()


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


async def test_a_board_can_be_given_up_while_it_is_made_and_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real ledger: whatever is recorded, deactivated and activated meanwhile, every event counts once."""
    monkeypatch.setattr(activate, "PATIENCE_SECONDS", 0.0)
    server = await Server.open(load({}, data=tmp_path))
    context = server.context
    [metric] = (await create_metrics(context, DEFAULT_SCOPE, items({"name": "Laps", "key": "laps"}))).things
    fields = {"name": "Laps", "key": "laps", "rank_by": "metric", "metric_id": metric.id, "start": day("2024-01-01")}
    [board] = (await create_boards(context, DEFAULT_SCOPE, items(fields))).things
    await record(context, DEFAULT_SCOPE, [NewEvent("laps", "ann", 1_000_000)])
    build, begun, goes_on = Build.run, asyncio.Event(), asyncio.Event()

    async def build_slowly(self: Build, *arguments: Any) -> None:
        begun.set()
        await goes_on.wait()
        await build(self, *arguments)

    async def ask(status: str) -> list[bool]:
        bulk = await update_boards(context, DEFAULT_SCOPE, items({"id": board.id, "status": status}))
        return [found.ready for found in bulk.things]

    monkeypatch.setattr(Build, "run", build_slowly)
    for status, ready in (("active", False), ("inactive", True), ("active", False)):
        assert await ask(status) == [ready]
        await begun.wait()
        await record(context, DEFAULT_SCOPE, [NewEvent("laps", "ann", 1_000_000)])
    goes_on.set()
    await asyncio.gather(*context.activations._endings.values())
    await record(context, DEFAULT_SCOPE, [NewEvent("laps", "ann", 1_000_000)])
    page = await read_page(context, DEFAULT_SCOPE, "laps", PageRequest())
    assert [(row.user_id, row.value) for row in page.rows] == [("ann", 5_000_000)]
    await server.close()


async def test_whatever_a_look_raises_the_others_are_had_and_it_is_said_once(tmp_path: Path) -> None:
    """And again when it has worked in between."""
    server = await Server.open(load({}, data=tmp_path))
    # Nobody else looks meanwhile.
    server._looking.cancel()
    failing, had = [True], []

    async def fail() -> None:
        if failing[0]:
            raise ZeroDivisionError

    async def note() -> None:
        had.append(1)

    server._parts = replace(server._parts, looks=[fail, note])
    with capture_logs() as logged:
        for now_failing in (True, True, False, True):
            failing[0] = now_failing
            await server._look()
    await server.close()

    assert len(had) == 4
    assert [line["event"] for line in logged] == ["a look around failed unexpectedly; it is had again"] * 2
