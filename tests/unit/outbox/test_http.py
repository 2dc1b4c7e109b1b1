"""The way out: one request, one answer, nothing followed, and nothing but permitted addresses connected to."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from palmares.outbox import guard
from palmares.outbox.contract import Answer
from palmares.outbox.http import HttpSender
from tests.receiver import Received, receiving, status

pytestmark = pytest.mark.anyio
# A key and a certificate for example.org that vouches for itself, good for nothing but these tests.
CERTIFICATE = Path(__file__).parent / "example.org.pem"
HEADERS = {"Content-Type": "application/json", "Idempotency-Key": "evt_1"}


async def post(url: str, allow_private: bool = True, seconds: float = 20, body: bytes = b"{}") -> Answer:
    sender = HttpSender(allow_private, seconds)
    try:
        return await sender.post(url, HEADERS, body)
    finally:
        await sender.close()


async def test_a_body_arrives_byte_for_byte_with_its_headers() -> None:
    """Also what is no ASCII, and the query of the URL."""
    body = '{"name": "Ünal\\n"}'.encode()
    async with receiving() as receiver:
        answer = await post(receiver.url, body=body)
        [received] = receiver.received

    assert answer == Answer(200)
    assert (received.method, received.path, received.body) == ("POST", "/hook?from=palmares", body)
    assert received.headers["content-type"] == "application/json"
    assert received.headers["host"] == receiver.url.split("/")[2]


@pytest.mark.parametrize("code", [204, 400, 404, 500, 503])
async def test_whatever_status_comes_is_the_answer(code: int) -> None:
    """What it means is not decided here."""
    async with receiving(status(code)) as receiver:
        assert await post(receiver.url) == Answer(code)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(code: int) -> None:
    """It may lead into the private network."""
    async with receiving() as other, receiving(status(code, f"location: {other.url}")) as receiver:
        assert await post(receiver.url) == Answer(code)

    assert other.received == []


async def test_a_receiver_that_never_answers_is_given_up() -> None:
    """After the seconds that it is given, in all."""
    async with receiving() as receiver:
        receiver.answer = receiver.hang
        answer = await post(receiver.url, seconds=0.05)

    assert answer.status is None
    assert answer.problem == "no answer within 0.05 seconds"


async def test_a_receiver_that_drips_its_answer_is_given_up_too() -> None:
    """Each part comes soon enough, but not the whole."""

    async def drip(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"x-more: drop\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    async with receiving(drip) as receiver:
        answer = await post(receiver.url, seconds=0.05)

    assert answer.status is None


async def test_a_status_counts_although_its_body_never_ends() -> None:
    """Nobody reads it all, nor waits for it."""

    async def endless(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with receiving(endless) as receiver:
        assert await post(receiver.url) == Answer(200)


@pytest.mark.parametrize("raw", [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 abc\r\n\r\n"])
async def test_what_is_no_http_is_no_answer(raw: bytes) -> None:
    """Nor is a connection that is closed at once."""

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    async with receiving(answer) as receiver:
        found = await post(receiver.url)

    assert found.status is None
    assert found.problem


async def test_where_nobody_listens_there_is_no_answer() -> None:
    """The port was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = await post(f"http://127.0.0.1:{port}/")

    assert answer.status is None
    assert str(answer.problem).startswith("no connection: ")


async def test_a_name_that_is_unknown_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again at the next attempt."""

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(guard.socket, "getaddrinfo", unknown)
    answer = await post("http://nowhere.invalid/")

    assert answer.status is None
    assert "not known" in str(answer.problem)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "0x7f000001", "2130706433", "[::1]"])
async def test_this_machine_is_not_connected_to_unless_allowed(host: str) -> None:
    """However it is written: what counts is what the name stands for."""
    async with receiving() as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        answer = await post(f"http://{host}:{port}/", allow_private=False)

    assert answer == Answer(None, "the address is private; the setting webhooks_allow_private allows it")
    assert receiver.connections == 0


async def test_a_public_name_that_stands_for_a_private_address_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The check is made on the very address that would be connected to."""
    async with receiving() as receiver:
        port = int(receiver.url.split(":")[2].split("/")[0])
        names(monkeypatch, [["127.0.0.1"]])
        answer = await post(f"http://example.org:{port}/", allow_private=False)

    assert answer.status is None
    assert receiver.connections == 0


async def test_a_name_is_looked_up_once_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look could give another answer than the one that was checked."""
    async with receiving(status(200, "connection: close")) as receiver:
        port = int(receiver.url.split(":")[2].split("/")[0])
        asked = names(monkeypatch, [["127.0.0.1"], ["127.0.0.1"]])
        sender = HttpSender(allow_private=True)
        for _ in range(2):
            assert await sender.post(f"http://example.org:{port}/", HEADERS, b"{}") == Answer(200)
        await sender.close()

    assert asked == ["example.org", "example.org"]


async def test_of_several_addresses_the_first_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Private ones are passed over, ones that are closed too."""
    async with receiving() as receiver:
        port = int(receiver.url.split(":")[2].split("/")[0])
        names(monkeypatch, [["127.0.0.2", "127.0.0.1"]])

        assert await post(f"http://example.org:{port}/") == Answer(200)
        assert receiver.connections == 1


async def test_a_hanging_receiver_takes_nothing_from_another() -> None:
    """Each has connections of its own, as many as it needs."""
    async with receiving() as slow, receiving() as quick:
        slow.answer = slow.hang
        sender = HttpSender(allow_private=True)
        hanging = [asyncio.create_task(sender.post(slow.url, HEADERS, b"{}")) for _ in range(50)]
        await slow.until(50)

        assert await sender.post(quick.url, HEADERS, b"{}") == Answer(200)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await sender.close()


async def test_a_connection_is_used_again() -> None:
    """A short answer is read to its end."""
    async with receiving() as receiver:
        sender = HttpSender(allow_private=True)
        for _ in range(3):
            await sender.post(receiver.url, HEADERS, b"{}")
        await sender.close()

    assert (len(receiver.received), receiver.connections) == (3, 1)


@pytest.mark.parametrize(("name", "status"), [("example.org", 200), ("example.com", None)])
async def test_a_certificate_has_to_be_for_the_name_in_the_url(
    monkeypatch: pytest.MonkeyPatch, name: str, status: int | None
) -> None:
    """Although it is an address that is connected to."""
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(CERTIFICATE)
    names(monkeypatch, [["127.0.0.1"]])
    async with receiving(ssl=serving) as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        sender = HttpSender(allow_private=True, trusted=ssl.create_default_context(cafile=CERTIFICATE))
        answer = await sender.post(f"https://{name}:{port}/", HEADERS, b"{}")
        await sender.close()

    assert answer.status == status
    assert len(receiver.received) == (0 if status is None else 1)


async def test_a_certificate_that_nobody_vouches_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual authorities are asked."""
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(CERTIFICATE)
    names(monkeypatch, [["127.0.0.1"]])
    async with receiving(ssl=serving) as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        answer = await post(f"https://example.org:{port}/")

    assert answer.status is None
    assert "certificate" in str(answer.problem).lower()


async def test_nothing_of_the_environment_leads_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect to what was never checked."""
    async with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        await post(receiver.url)

    assert (len(proxy.received), len(receiver.received)) == (0, 1)


def names(monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]) -> list[str]:
    """Let every name stand for these addresses, look after look; returns the names asked for."""
    asked: list[str] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers.pop(0)]

    monkeypatch.setattr(guard.socket, "getaddrinfo", look_up)
    return asked


def test_a_receiver_tells_a_good_signature_from_a_bad_one() -> None:
    """The other tests rely on it."""
    body = b'{"type":"leaderboard.started","leaderboard":{"key":"weekly-laps"}}'
    signed = {"x-trophy-signature": "7tEhfoc2sMrtb9+KcKqUh7KjuC0ldm1AWDK0+MHbzms="}

    assert Received("POST", "/", signed, body).is_signed_with("whs_7Qm2")
    assert not Received("POST", "/", signed, body + b" ").is_signed_with("whs_7Qm2")
    assert not Received("POST", "/", signed, body).is_signed_with("whs_other")
