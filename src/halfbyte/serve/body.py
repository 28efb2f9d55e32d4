"""The body of a request, in pieces, within bounds."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from aiohttp import StreamReader

from halfbyte.serve.refusals import RefusedError

_MOST_LINES = 1000  # before, around and in the heads of the parts; a form of ours has some 40
_TURN = 16  # reads of one client before others have a turn


class Body:
    """What aiohttp's multipart reader asks of a stream, with bounds that the reader has not.

    Without them lines before the first part, and parts of a few bytes, keep the event loop for as
    long as a client likes: minutes for a hundred megabytes.

    Args:
        stream: the body.
        stated_bytes: its length, if the head of the request says so.
        most_bytes: its greatest length.
        idle_s: longest wait for a piece.

    Raises:
        RefusedError: from here and from all reads, where a bound is passed.
    """

    def __init__(
        self, stream: StreamReader, stated_bytes: int | None, most_bytes: int, idle_s: float
    ):
        self._stream = stream
        self._most_bytes = most_bytes
        self._idle_s = idle_s
        self._num_reads = 0
        self._num_lines = 0
        self._check_length(stated_bytes or 0)

    async def read(self, num_bytes: int) -> bytes:
        """As StreamReader.read."""
        return await self._take(self._stream.read(num_bytes))

    async def readline(self, **options: Any) -> bytes:
        """As StreamReader.readline."""
        self._num_lines += 1
        if self._num_lines > _MOST_LINES:
            raise RefusedError(
                "message_too_large",
                "the form has too many parts, or too much data outside them",
            )
        return await self._take(self._stream.readline(**options))

    def at_eof(self) -> bool:
        """As StreamReader.at_eof."""
        return self._stream.at_eof()

    def unread_data(self, data: bytes) -> None:
        """As StreamReader.unread_data."""
        self._stream.unread_data(data)

    async def _take(self, reading: Awaitable[bytes]) -> bytes:
        self._num_reads += 1
        if self._num_reads % _TURN == 0:
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._idle_s):
                piece = await reading
        except TimeoutError:
            raise RefusedError("idle", f"received nothing for {self._idle_s:g} s") from None
        self._check_length(self._stream.total_bytes)
        return piece

    def _check_length(self, num_bytes: int) -> None:
        if num_bytes > self._most_bytes:
            raise RefusedError(
                "message_too_large",
                f"the file is longer than {self._most_bytes} bytes; split it",
            )
