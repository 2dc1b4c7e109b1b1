"""The data folder: one process at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from palmares.ledger.embedded.folder import Folder, FolderInUse
from tests.ledger_world import Clock, open_embedded

HOLD = """
import sys
from pathlib import Path
from palmares.ledger.embedded.folder import Folder, FolderInUse
try:
    folder = Folder(Path(sys.argv[1]))
except FolderInUse as error:
    print(error.message, flush=True)
else:
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(path: Path) -> subprocess.Popen[str]:
    """Another process that opens the folder, and holds it until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_folder_is_made_when_missing(folder: Path) -> None:
    """With all above it."""
    made = Folder(folder / "a" / "b")
    assert (folder / "a" / "b").is_dir()
    made.release()


def test_a_second_process_is_refused_and_told_who_has_the_folder(folder: Path) -> None:
    """By the process id."""
    held = Folder(folder)
    with start_holder(folder) as other:
        assert first_line(other) == f"the data folder {folder} is in use by process {os.getpid()}"
    held.release()


def test_a_folder_held_by_another_process_is_refused_until_that_ends(folder: Path) -> None:
    """However it ends: a killed process leaves nothing to clean up."""
    with start_holder(folder) as other:
        assert first_line(other) == "held"
        with pytest.raises(FolderInUse, match=f"by process {other.pid}$"):
            Folder(folder)
        other.kill()
    Folder(folder).release()


def test_a_released_folder_can_be_opened_again(folder: Path) -> None:
    """By the same process too, which otherwise is refused like any other."""
    first = Folder(folder)
    with pytest.raises(FolderInUse):
        Folder(folder)
    first.release()
    Folder(folder).release()


@pytest.mark.anyio
async def test_a_ledger_holds_its_folder_until_it_is_closed(folder: Path) -> None:
    """A second one on the same files would write over the first."""
    ledger = await open_embedded(folder, Clock())
    with pytest.raises(FolderInUse):
        await open_embedded(folder, Clock())
    await ledger.close()
    await (await open_embedded(folder, Clock())).close()
