"""docs/webhooks.md: its code works, and it knows every type of event."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from palmares.domain.webhook import EVENT_TYPES

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
SECRET = "whs_7Qm2"
BODY = b'{"type":"leaderboard.started","leaderboard":{"key":"weekly-laps"}}'
SIGNATURE = "7tEhfoc2sMrtb9+KcKqUh7KjuC0ldm1AWDK0+MHbzms="


def code(language: str, containing: str) -> str:
    """The block in a language that contains a text."""
    [found] = [block for block in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if containing in block]
    return str(found)


def test_the_check_in_python_tells_genuine_from_forged() -> None:
    """As people will copy it."""
    names: dict[str, Any] = {}
    exec(code("python", "is_genuine"), names)

    assert names["is_genuine"](SECRET, BODY, SIGNATURE)
    assert not names["is_genuine"](SECRET, BODY + b" ", SIGNATURE)
    assert not names["is_genuine"]("whs_other", BODY, SIGNATURE)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
def test_the_check_in_node_tells_genuine_from_forged(tmp_path: Path) -> None:
    """The same, and a header that is missing."""
    calls = [
        f"Buffer.from({BODY.decode()!r}), '{SIGNATURE}'",
        f"Buffer.from('other'), '{SIGNATURE}'",
        "Buffer.from('')",
    ]
    printing = "".join(f"console.log(isGenuine('{SECRET}', {call}));\n" for call in calls)
    script = tmp_path / "check.mjs"
    script.write_text(code("js", "isGenuine") + printing)
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout.split() == ["true", "false", "false"], done.stderr


def test_the_example_to_try_is_the_right_one() -> None:
    """Who copies it must not doubt their own code."""
    assert SECRET in PAGE
    assert BODY.decode() in PAGE
    assert SIGNATURE in PAGE


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_every_type_of_event_is_explained(event: str) -> None:
    assert f"| `{event}` |" in PAGE
