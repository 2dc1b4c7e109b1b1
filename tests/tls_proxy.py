"""TLS in front of a server that has none: what comes is decrypted and handed on.

The certificate is for localhost, and the authority that signed it is nobody's but the tests'.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = Path(__file__).parent / "tls"
AUTHORITY = FOLDER / "ca.pem"


@contextmanager
def tls_before(host: str, port: int) -> Iterator[int]:
    """Listen with TLS, and connect whoever comes to a server; the port to come to.

    In a thread of its own, since who connects may keep the test's waiting.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_listen(host, port), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(host: str, port: int) -> asyncio.Server:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(FOLDER / "server.pem", FOLDER / "server.key")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Here and not before, so that whoever is at it when everything stops is let go of like the others.
        try:
            with suppress(OSError, ssl.SSLError):
                await writer.start_tls(context)
                behind_reader, behind_writer = await asyncio.open_connection(host, port)
                await asyncio.gather(_hand_on(reader, behind_writer), _hand_on(behind_reader, writer))
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def _stop(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for _ in range(3):
        # A connection that was let go of is closed a turn or two later.
        await asyncio.sleep(0)


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError, ssl.SSLError):
            while part := await reader.read(1 << 16):
                writer.write(part)
                await writer.drain()
    finally:
        writer.close()
