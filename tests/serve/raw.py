"""A server as a user starts it, and clients that write bytes to its sockets."""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from paths import TONES

UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@dataclass
class Running:
    """A server of its own process."""

    process: subprocess.Popen[str]
    errors: IO[str]
    port: int
    wyoming_port: int

    def log(self) -> str:
        self.errors.flush()
        return Path(self.errors.name).read_text()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def answer(self, *sent: bytes) -> bytes:
        """What comes until the server closes, or falls silent."""
        with self.connect() as client:
            with contextlib.suppress(ConnectionError):
                for piece in sent:
                    client.sendall(piece)
            return received(client)

    def status(self, *sent: bytes) -> int:
        """HTTP status of the first answer; 0 for none."""
        line = self.answer(*sent).partition(b"\r\n")[0].split(b" ")
        return int(line[1]) if len(line) > 1 else 0


@contextlib.contextmanager
def serving(*words: str, model: Path = TONES, **options) -> Iterator[Running]:
    """`halfbyte serve` on free ports; it must end by itself, and soon, when told to."""
    command = [sys.executable, "-m", "halfbyte", "serve", "--model", str(model)]
    command += ["--port", "0", "--wyoming-port", "0", *words]
    environment = {name: value for name, value in os.environ.items() if name != "HALFBYTE_TOKEN"}
    environment |= options.pop("environment", {})
    with (
        tempfile.NamedTemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            **options,
        ) as process,
    ):
        try:
            ports = [int(process.stdout.readline().rpartition(":")[2]) for _ in range(2)]
            yield Running(process, errors, *ports)
            process.terminate()
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()


def received(client: socket.socket, quiet_s: float = 20) -> bytes:
    """All bytes until the end, or until none has come for so long."""
    client.settimeout(quiet_s)
    came = b""
    with contextlib.suppress(OSError):
        while block := client.recv(1 << 16):
            came += block
    return came


def post(body: bytes, *headers: bytes, kind: bytes = b"multipart/form-data; boundary=x") -> bytes:
    """A request with a file."""
    lines = [
        b"POST /v1/audio/transcriptions HTTP/1.1",
        b"Host: localhost",
        b"Connection: close",
        b"Content-Type: " + kind,
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join([*lines, b"", body])


def get(path: bytes, *headers: bytes) -> bytes:
    """A request without a body."""
    lines = [b"GET %b HTTP/1.1" % path, b"Host: localhost", b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"", b""])


def frame(payload: bytes, opcode: int = 2, is_masked: bool = True) -> bytes:
    """A WebSocket frame; the mask is zero, so the payload stays readable."""
    num_bytes = len(payload)
    bit = 0x80 if is_masked else 0
    if num_bytes < 126:
        head = struct.pack("!BB", 0x80 | opcode, bit | num_bytes)
    elif num_bytes < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, bit | 126, num_bytes)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, bit | 127, num_bytes)
    return head + (bytes(4) if is_masked else b"") + payload
