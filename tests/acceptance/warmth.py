"""What the process has done whose children the servers of the tests are: it has served once, so none of them does all
that for the first time, which takes half of their start."""

import asyncio
import gc

import uvicorn.lifespan.on
import uvicorn.protocols.http.httptools_impl  # noqa: F401
import uvloop
from glide._ffi_instance import _ASYNC_FFI

import palmares.cli.serve
import palmares.cluster
import palmares.web  # noqa: F401
from palmares.in_process import AsyncPalmares

# What the client of Valkey says to its core, in C; each is parsed when it is first said.
_TYPES = [
    "BatchInfo*", "BatchOptionsInfo*", "ClientType*", "ClientTypeEnum", "CmdInfo*", "ConnectionResponse*",
    "PubSubCallback", "const CmdInfo*[]", "const uint8_t*[]", "size_t", "size_t[]", "unsigned long[]", "void*",
]  # fmt: skip


async def _serve_once() -> None:
    async with AsyncPalmares.open() as palmares:
        await palmares.create("metrics", {"key": "laps", "name": "Laps"})
        await palmares.record("laps", "somebody", 1)


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(_serve_once())
for name in _TYPES:
    _ASYNC_FFI.ffi.typeof(name)
# A child that collects garbage does not look at it, and so does not copy it either.
gc.collect()
gc.freeze()
