"""The list of environments."""

from pathlib import Path

import pytest

from palmares.service.environments import create_environment
from tests.admin_client import open_admin

pytestmark = pytest.mark.anyio


async def test_all_environments_are_listed_with_any_key_the_most_important_first(tmp_path: Path) -> None:
    """The lowest number is the highest priority."""
    async with open_admin(tmp_path) as admin:
        await create_environment(admin.desk.context, "development", "Development", 10, multi_tenancy=False)
        await create_environment(admin.desk.context, "staging", "Staging", 2, multi_tenancy=True)

        assert await admin.call("GET", "/environments") == [
            {"name": "Production", "key": "production", "priority": 1},
            {"name": "Staging", "key": "staging", "priority": 2},
            {"name": "Development", "key": "development", "priority": 10},
        ]
