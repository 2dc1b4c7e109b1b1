"""`palmares serve`: HTTP on a socket, in one process or as one of several workers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn
import uvloop
from starlette.types import ASGIApp

from palmares.api.cors import Origins
from palmares.config import Settings
from palmares.logs import configure_logging
from palmares.server import Server
from palmares.service.rate_limit import RouteClass
from palmares.workers import Place, Workers

# A thread that comes back from the disk waits this long for the interpreter while the event loop is busy. The
# default, 5 ms, would be the largest part of the time to an answer.
_SWITCH_SECONDS = 0.0005
_GRACE_SECONDS = 10

OnReady = Callable[[Server, str], None]


def serve(settings: Settings, on_ready: OnReady | None = None) -> None:
    """Serve until SIGTERM or SIGINT; then take nothing new, answer what has come, flush and checkpoint.

    `on_ready` is given the server and its address once connections are accepted; of several workers, the first one
    calls it. Raises `OSError` when the address cannot be had, what `Server.open` raises, and `WorkersFailed`.
    """
    configure_logging(settings)
    sys.setswitchinterval(_SWITCH_SECONDS)
    with _listen(settings.host, settings.port) as listener:
        if settings.workers == 1:
            _run(settings, listener, on_ready)
            return
        # Loaded once, for all workers and all that take the place of one.
        import palmares.cluster  # noqa: F401

        def work(place: Place) -> None:
            _run(settings, listener, on_ready if place.first else None, place)

        Workers(settings.workers, work).run()


def _run(settings: Settings, listener: socket.socket, on_ready: OnReady | None, place: Place | None = None) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listener, on_ready, place))


async def _serve(settings: Settings, listener: socket.socket, on_ready: OnReady | None, place: Place | None) -> None:
    server = await Server.open(settings)
    _calm_the_collector()
    address = f"http://{settings.host}:{listener.getsockname()[1]}"

    def ready() -> None:
        if on_ready is not None:
            on_ready(server, address)
        if place is not None:
            place.tell_ready()

    try:
        web = _Web(_app(server, settings), ready)
        if place is not None:
            # A worker whose parent is gone would be in the way of the next one.
            place.when_alone(lambda: web.handle_exit(signal.SIGTERM, None))
        await web.serve(sockets=[listener])
    finally:
        await server.close()


def _app(server: Server, settings: Settings) -> ASGIApp:
    rates: dict[RouteClass, int | None] = {"events": settings.rate_limit_events, "reads": settings.rate_limit_reads}
    limiter = server.limiter({route_class: rate for route_class, rate in rates.items() if rate is not None})
    origins = Origins(settings.cors_application_origins, settings.cors_admin_origins)
    return server.app(settings.max_body_bytes, limiter, origins)


def _calm_the_collector() -> None:
    """Let the garbage collector come seldom: a batch makes thousands of short-lived tuples and nothing cyclic.

    Measured: with Python's defaults, every large batch has it look at all cached users again, which doubles its time.
    Looking at 50,000 young objects at once stops everybody for 35 ms, at 3,000 for 4 ms; old ones are left alone.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(3_000, 2, 1_000_000)


class _Web(uvicorn.Server):
    """Uvicorn that tells when it is ready, and that ends normally when it is asked to stop."""

    def __init__(self, app: ASGIApp, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app, loop="none", http="httptools", ws="none", lifespan="off", access_log=False, log_config=None,
                server_header=False, date_header=False, proxy_headers=False, timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )  # fmt: skip
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)
