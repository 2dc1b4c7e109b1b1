"""docs/settings.md says what the table of settings says."""

from pathlib import Path

from palmares.config import page

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_of_settings_is_the_one_the_table_writes() -> None:
    assert DOCUMENT.read_text("utf-8") == page(), "run: .venv/bin/python -m palmares.config > docs/settings.md"
