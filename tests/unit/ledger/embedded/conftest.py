"""What tests of the embedded ledger's parts share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger_world import memory_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder."""
    with memory_folder() as path:
        yield path
