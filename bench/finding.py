"""What a measurement found, and the table of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from rich.console import Console
from rich.table import Table

_HEADINGS = ("what", "figure", "rival", "ratio", "target", "reached")


@dataclass(frozen=True, slots=True)
class Finding:
    """One row. All is text for people; `reached` is None where no target was set."""

    what: str
    figure: str
    rival: str = ""
    ratio: str = ""
    target: str = ""
    reached: bool | None = None


def print_findings(findings: Iterable[Finding]) -> None:
    """All of them as one table."""
    table = Table(*_HEADINGS)
    for finding in findings:
        table.add_row(*_cells(finding))
    # A pipe or a file has no width; cut-off figures would be worse than long lines.
    console = Console()
    (console if console.is_terminal else Console(width=200)).print(table)


def _cells(finding: Finding) -> Sequence[str]:
    *texts, reached = astuple(finding)
    return [*texts, {None: "", True: "yes", False: "NO"}[reached]]
