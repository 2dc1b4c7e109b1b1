"""Only `machine.py` reads a clock or a random source; all else is handed an instant or a source of chance.

The check reads the sources without running them. It follows imports and their aliases, and catches a name that is only
passed on (`default_factory=datetime.now`) like one that is called. It is no proof against someone who hides:
`getattr(time, "ti" + "me")` gets by.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "palmares"
MACHINE = "machine.py"

# Who may wait for time to pass, as (file, what): reason. A wait reads the loop's clock, so each one needs a word.
MAY_WAIT: dict[tuple[str, str], str] = {
    (
        "cli/client.py",
        "time.sleep",
    ): "a command waits before it asks a busy server again; tests hand in a wait of theirs",
    (
        "ledger/embedded/revise.py",
        "asyncio.sleep",
    ): "late events come in crowds, which are waited for in the background; whoever cannot wait asks to settle",
    ("ledger/embedded/upkeep.py", "asyncio.sleep"): "of zero length: long work lets others have their turn",
    (
        "ledger/valkey/builder.py",
        "asyncio.sleep",
    ): "late events come in crowds, as in the embedded ledger; whoever cannot wait asks to settle",
    (
        "ledger/valkey/lease.py",
        "asyncio.sleep",
    ): "a lease is prolonged while work goes on, and asked for again while another worker has it",
    ("service/teller.py", "asyncio.sleep"): "of zero length, like that of the upkeep",
}

CLOCKS = {
    *(f"time.{name}" for name in "time monotonic perf_counter process_time thread_time clock_gettime".split()),
    *(f"time.{name}_ns" for name in "time monotonic perf_counter process_time thread_time clock_gettime".split()),
    *(f"time.{name}" for name in "localtime gmtime ctime asctime strftime".split()),
    *(f"datetime.datetime.{name}" for name in "now utcnow today".split()),
    "datetime.date.today",
    *(f"sqlalchemy.func.{name}" for name in "now current_timestamp current_date current_time random".split()),
}
CHANCE = {
    "random",
    "secrets",
    "os.urandom",
    "os.getrandom",
    *(f"uuid.uuid{version}" for version in (1, 4, 6, 7, 8)),
}
WAITS = {"asyncio.sleep", "anyio.sleep", "anyio.sleep_until", "time.sleep", "threading.Timer"}
LOOP_WAITS = {"call_later", "call_at"}
LOOP_MAKERS = {"get_running_loop", "get_event_loop", "new_event_loop"}

# SQL and Cython are searched as text.
SQL_CLOCKS = r"\bcurrent_(date|time|timestamp)\b|\bnow\s*\(|'now'|\bunixepoch\s*\(\s*\)|\brandom(blob)?\s*\("
CYTHON_CLOCKS = r"\b(c?import|from)\s+(time|datetime|random|secrets|uuid)\b|\blibc\.time\b|\bs?rand(om)?\s*\("
IN_TEXT = {".sql": SQL_CLOCKS, ".pyx": CYTHON_CLOCKS, ".pxd": CYTHON_CLOCKS, ".pxi": CYTHON_CLOCKS}


class Finding(NamedTuple):
    line: int
    what: str


def findings_in(source: str) -> list[Finding]:
    """Every clock, random source and wait that a Python source names, once per line."""
    tree = ast.parse(source)
    names = _imported_names(tree)
    found = {Finding(node.lineno, what) for node in ast.walk(tree) for what in _named_by(node, names)}
    return sorted(found)


def _imported_names(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for: `from datetime import datetime as d` gives d = datetime.datetime."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _named_by(node: ast.AST, names: dict[str, str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if _is_source(alias.name)]
    if isinstance(node, ast.ImportFrom):
        return [whole for alias in node.names for whole in _from_import(f"{node.module}", alias.name)]
    if isinstance(node, ast.Attribute) and (on_loop := _on_a_loop(node)):
        return [on_loop]
    if isinstance(node, ast.Attribute | ast.Name):
        whole = _whole_name(node, names)
        return [whole] if whole is not None and _is_source(whole) else []
    return []


def _from_import(module: str, name: str) -> list[str]:
    if name == "*":
        return [f"{module}.*"] if any(source.startswith(f"{module}.") for source in CLOCKS | CHANCE | WAITS) else []
    return [f"{module}.{name}"] if _is_source(f"{module}.{name}") else []


def _is_source(whole: str) -> bool:
    return whole in CLOCKS | CHANCE | WAITS or whole.partition(".")[0] in CHANCE


def _whole_name(node: ast.expr, names: dict[str, str]) -> str | None:
    """The dotted name as imported, or None for what was not imported (a local variable, say)."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        before = _whole_name(node.value, names)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _on_a_loop(node: ast.Attribute) -> str | None:
    """`call_later` and `call_at` are the loop's alone; `time` is also datetime's, and counts on what is called loop."""
    if node.attr in LOOP_WAITS:
        return f"loop.{node.attr}"
    return "loop.time" if node.attr == "time" and _is_loop(node.value) else None


def _is_loop(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        node = node.func
        return _last_name(node) in LOOP_MAKERS
    return _last_name(node).endswith("loop")


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def is_wait(finding: Finding) -> bool:
    return finding.what in WAITS or finding.what.removeprefix("loop.") in LOOP_WAITS


def findings_in_text(text: str, pattern: str) -> list[Finding]:
    """Every clock and random source that SQL or Cython names, comments aside."""
    return [
        Finding(number, match[0])
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := re.search(pattern, re.sub(r"(?:--|#).*", "", line), re.IGNORECASE))
    ]


def findings_below(folder: Path) -> dict[str, list[Finding]]:
    """Findings by file, for all files but the one that may."""
    files = (path for path in sorted(folder.rglob("*")) if path.suffix in {".py", *IN_TEXT})
    found = {path.relative_to(folder).as_posix(): _findings_of(path) for path in files}
    found.pop(MACHINE, None)
    return found


def _findings_of(path: Path) -> list[Finding]:
    text = path.read_text("utf-8")
    return findings_in(text) if path.suffix == ".py" else findings_in_text(text, IN_TEXT[path.suffix])


def refused(found: dict[str, list[Finding]], may_wait: dict[tuple[str, str], str]) -> list[str]:
    return [
        f"{file}:{finding.line} {finding.what}"
        for file, findings in found.items()
        for finding in findings
        if not (is_wait(finding) and (file, finding.what) in may_wait)
    ]


# The promise


def test_only_one_file_reads_a_clock_or_a_random_source() -> None:
    found = findings_below(SOURCES)

    assert found, "no sources found"
    assert refused(found, MAY_WAIT) == []


def test_whoever_may_wait_does_and_has_a_reason() -> None:
    found = findings_below(SOURCES)
    waits = {(file, finding.what) for file in found for finding in found[file] if is_wait(finding)}

    assert MAY_WAIT.keys() <= waits
    assert all(MAY_WAIT.values())


# The check itself can fail


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import time\ntime.time()", "time.time"),
        ("import time as t\nt.monotonic_ns()", "time.monotonic_ns"),
        ("from time import perf_counter as tick", "time.perf_counter"),
        ("from time import *", "time.*"),
        ("def late():\n    import time\n    return time.time_ns()", "time.time_ns"),
        ("import datetime\ndatetime.datetime.now()", "datetime.datetime.now"),
        ("import datetime as dt\ndt.date.today()", "datetime.date.today"),
        ("from datetime import UTC, datetime\ndatetime.now(UTC)", "datetime.datetime.now"),
        ("from datetime import datetime as d\nd.utcnow()", "datetime.datetime.utcnow"),
        ("from datetime import datetime\nfield(default_factory=datetime.now)", "datetime.datetime.now"),
        ("from datetime import date\ndate.today()", "datetime.date.today"),
        ("import random", "random"),
        ("from random import Random", "random.Random"),
        ("import secrets\nsecrets.token_hex()", "secrets.token_hex"),
        ("import os\nos.urandom(8)", "os.urandom"),
        ("from os import urandom", "os.urandom"),
        ("import uuid\nuuid.uuid4()", "uuid.uuid4"),
        ("from uuid import uuid1", "uuid.uuid1"),
        ("from uuid import uuid7", "uuid.uuid7"),
        ("import asyncio\nasyncio.get_running_loop().time()", "loop.time"),
        ("self._loop.time()", "loop.time"),
        ("now = loop.time", "loop.time"),
        ("import sqlalchemy as sa\nsa.func.now()", "sqlalchemy.func.now"),
        ("from sqlalchemy import func\nfunc.current_timestamp()", "sqlalchemy.func.current_timestamp"),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(1)", "asyncio.sleep"),
        ("from asyncio import sleep", "asyncio.sleep"),
        ("import time\ntime.sleep(1)", "time.sleep"),
        ("loop.call_later(1, done)", "loop.call_later"),
        ("self.anything.call_at(1, done)", "loop.call_at"),
        ("from threading import Timer", "threading.Timer"),
    ],
)
def test_a_source_that_reads_a_clock_or_chance_or_waits_is_found(source: str, what: str) -> None:
    assert what in [finding.what for finding in findings_in(source)]
    assert refused({"some.py": findings_in(source)}, {}) != []


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC, datetime, timedelta\ndatetime(2026, 3, 4, tzinfo=UTC) + timedelta(days=1)",
        "from datetime import datetime\ndatetime.fromtimestamp(0)\nmoment.time()",
        "import uuid\nuuid.UUID(int=0)\nuuid.uuid5(uuid.NAMESPACE_URL, 'x')",
        "def apply(now, time, random):\n    return now(), time.time(), random.random()",
        "import os\nos.fsync(3)",
        "from palmares.domain.run import today\ntoday(instant)",
        "'time.time()'  # datetime.now()",
    ],
)
def test_what_is_handed_in_or_only_computed_is_not_found(source: str) -> None:
    assert findings_in(source) == []


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("INSERT INTO event VALUES (1,\n CURRENT_TIMESTAMP)", SQL_CLOCKS),
        ("select datetime('now')", SQL_CLOCKS),
        ("select now()", SQL_CLOCKS),
        ("order by random()", SQL_CLOCKS),
        ("from libc.time cimport time", CYTHON_CLOCKS),
        ("import random", CYTHON_CLOCKS),
        ("level = rand() % 4", CYTHON_CLOCKS),
    ],
)
def test_sql_and_cython_that_read_a_clock_or_chance_are_found(text: str, pattern: str) -> None:
    assert findings_in_text(text, pattern) != []


def test_sql_and_cython_that_do_not_are_not_found() -> None:
    assert findings_in_text("-- now() is handed in\nselect known(), now_at from event", SQL_CLOCKS) == []
    assert findings_in_text("from libc.stdlib cimport malloc  # not rand()\nbrand(operand)", CYTHON_CLOCKS) == []


def test_files_are_found_in_every_folder_and_only_the_one_at_the_top_is_left_alone(tmp_path: Path) -> None:
    for name in ("machine.py", "cli/serve.py", "service/machine.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("import time\ntime.time()\n")
    (tmp_path / "log.sql").write_text("select 1;\nselect now();\n")

    assert refused(findings_below(tmp_path), {}) == [
        "cli/serve.py:2 time.time",
        "log.sql:2 now(",
        "service/machine.py:2 time.time",
    ]


def test_a_wait_is_allowed_to_the_file_that_has_a_reason_and_to_no_other() -> None:
    waiting = findings_in("import asyncio\nasyncio.sleep(1)")
    may_wait = {("one.py", "asyncio.sleep"): "lets the demo's server start"}

    assert refused({"one.py": waiting}, may_wait) == []
    assert refused({"two.py": waiting}, may_wait) == ["two.py:2 asyncio.sleep"]


def test_a_reason_to_wait_is_no_reason_to_read_the_clock() -> None:
    reading = findings_in("import time\ntime.time()")

    assert refused({"one.py": reading}, {("one.py", "time.time"): "please"}) == ["one.py:2 time.time"]
