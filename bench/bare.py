"""The ceiling: a server that reads what Palmares is sent and answers what Palmares answers, without any work between.

    python -m bench.bare 201 < body

It answers every request with that status and body, on the same uvicorn, event loop and parser as Palmares, and prints
its address once it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send


def answering(status: int, body: bytes) -> ASGIApp:
    """An application that reads each request to its end and answers the same to all."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    rest = {"type": "http.response.body", "body": body}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            while (await receive()).get("more_body"):
                pass
        await send(start)
        await send(rest)

    return app


async def serve(app: ASGIApp) -> None:
    """Serve with the settings of `palmares.server`, until the process is ended."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"bare serves http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        app, loop="none", http="httptools", ws="none", lifespan="off", access_log=False, log_config=None,
        server_header=False, date_header=False, proxy_headers=False, timeout_graceful_shutdown=10,
    )  # fmt: skip
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(answering(int(sys.argv[1]), sys.stdin.buffer.read())))
