"""docs/cli.md says what the commands say of themselves."""

from pathlib import Path

import pytest

from palmares.cli import COMMANDS
from palmares.cli.event_file import FIELDS
from palmares.cli.reference import page

DOCUMENTS = Path(__file__).parents[2] / "docs"


def test_the_page_of_commands_is_the_one_that_the_commands_write() -> None:
    written = (DOCUMENTS / "cli.md").read_text("utf-8")

    assert written == page(), "run: .venv/bin/python -m palmares.cli.reference > docs/cli.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_chapter(name: str) -> None:
    assert f"\n## palmares {name}\n" in page()


@pytest.mark.parametrize("column", [*FIELDS, "attributes.<key>", "eventAttributes.<key>"])
def test_every_column_of_a_csv_file_is_explained(column: str) -> None:
    assert f"`{column}`" in (DOCUMENTS / "import.md").read_text("utf-8")
