"""What the machine gives: the clock, chance, and waiting for time to pass.

Only this file reads them, so everything else can be tested with time and chance handed in.
"""

from __future__ import annotations

import asyncio
import secrets
import string
import time
import uuid

_SECRET_LETTERS = string.ascii_letters + string.digits

# Counts seconds, from nowhere in particular.
timer = time.perf_counter
# Wait for so many seconds: others go on meanwhile, or the whole process waits.
sleep = asyncio.sleep
wait = time.sleep


def system_clock() -> int:
    """The present instant."""
    return time.time_ns() // 1000


def new_id() -> str:
    """A random UUID."""
    return str(uuid.uuid4())


def new_secret(length: int) -> str:
    """Random letters and digits."""
    return "".join(secrets.choice(_SECRET_LETTERS) for _ in range(length))
