"""docs/in-process.md: its programs run as they stand there."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "in-process.md").read_text("utf-8")
SCRIPT, SERVER = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_script_prints_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Of the one who was overtaken, and of the one who overtook."""
    monkeypatch.chdir(tmp_path)

    exec(SCRIPT, {})

    assert capsys.readouterr().out.splitlines() == ["1", "[(1, 'ivo', 16), (2, 'noor', 12)]", "2"]


@pytest.mark.anyio
async def test_the_application_is_found_where_it_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside whatever else the program serves."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(SERVER, names)
    game = names["game"]

    async with game.router.lifespan_context(game):
        await game.state.palmares.create("metrics", {"key": "laps", "name": "Laps"})
        key = await game.state.palmares.create_key("game")
        transport = httpx.ASGITransport(game)
        async with httpx.AsyncClient(transport=transport, base_url="http://game", headers={"X-API-KEY": key}) as client:
            answer = await client.get("/leaderboards/admin/v1/metrics")

    assert [metric["key"] for metric in answer.json()] == ["laps"]
