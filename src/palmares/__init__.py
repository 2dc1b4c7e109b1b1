"""Palmares: the open leaderboard server.

    from palmares import Palmares

is the server inside a program; `palmares serve` is the one for a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from palmares.in_process import AsyncPalmares, Palmares

__all__ = ["AsyncPalmares", "Palmares", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the server only for who asks for it: every module below begins with importing this one."""
    if name in ("AsyncPalmares", "Palmares"):
        from palmares import in_process

        return getattr(in_process, name)
    raise AttributeError(f"module 'palmares' has no attribute {name!r}")
