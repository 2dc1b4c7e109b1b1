"""The data folder: whether it can be written, what is left on its disk, and SQLite."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

from palmares.doctor.finding import Finding, ok, version_at_least

_GIGABYTE: Final = 1 << 30
_LEAST_SQLITE: Final = (3, 35)


def examine_folder(data: Path) -> list[Finding]:
    """A folder that is not there yet is judged by where it would be made."""
    findings = [version_at_least("SQLite", sqlite3.sqlite_version, _LEAST_SQLITE)]
    place = _nearest(data)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return [*findings, Finding("wrong", f"folder {data}", str(error), "let the server's user write there")]
    told = "can be written" if place == data else f"will be made in {place}"
    used = sum(file.stat().st_size for file in data.rglob("*") if file.is_file()) if place == data else 0
    return [*findings, ok(f"folder {data}", told), judge_disk(shutil.disk_usage(place).free, used)]


def judge_disk(free: int, used: int) -> Finding:
    """Making a file anew takes as much again for a while. All in bytes."""
    told = f"{free / _GIGABYTE:.1f} GB free, {used / _GIGABYTE:.1f} GB used"
    if free < _GIGABYTE // 10:
        return Finding("wrong", "disk", told, "make room now: on a full disk events are refused")
    if free < max(_GIGABYTE, used):
        return Finding("doubtful", "disk", told, "make room: as much as is used, and 1 GB at least, should be free")
    return ok("disk", told)


def _nearest(path: Path) -> Path:
    """The folder, or the one nearest to it that exists."""
    path = path.absolute()
    while not path.is_dir():
        path = path.parent
    return path
