"""HTTP connections whose WebSocket frames have to be masked."""

from typing import Any

from aiohttp import web

_REFUSED = b"\xf0\x80"  # reserved bits: the reader closes with 1002, a breach of the protocol
_MASK_BYTES = 4


class Connection(web.RequestHandler):
    """aiohttp's HTTP connection, but for frames without a mask."""

    def set_parser(self, parser: Any, *more: Any, **options: Any) -> None:
        """The connection is a WebSocket from now on."""
        reader: Any = MaskedFrames(parser)
        super().set_parser(reader, *more, **options)


class MaskedFrames:
    """Stands before a reader of frames and lets only masked ones through.

    A client masks its frames so that no proxy on the way takes what is in them for a request; a
    server closes on one without (RFC 6455, section 5.1). aiohttp's reader takes both.

    Args:
        reader: has `feed_data` and `feed_eof`.
    """

    def __init__(self, reader: Any):
        self._reader = reader
        self._head = b""  # of the next frame, as far as it has come
        self._rest_bytes = 0  # of the frame before, still to come

    def feed_eof(self) -> None:
        """Nothing more comes."""
        self._reader.feed_eof()

    def feed_data(self, data: bytes) -> Any:
        """Bytes of the client, in pieces of any length; what the reader answers."""
        data = self._head + data
        at = self._rest_bytes
        while (num_bytes := _frame_bytes(data, at)) > 0:
            at += num_bytes
        if num_bytes < 0:
            data = data[:at] + _REFUSED
            at = len(data)
        self._head = data[at:]
        self._rest_bytes = max(0, at - len(data))
        return self._reader.feed_data(data[:at])


def _frame_bytes(data: bytes, at: int) -> int:
    """Length of a frame; 0 while its length has not come yet, -1 where it is not masked."""
    if len(data) < at + 2:
        return 0
    if data[at + 1] < 0x80:
        return -1
    short = data[at + 1] & 0x7F
    num_digits = {126: 2, 127: 8}.get(short, 0)  # the length is behind, if it is not small
    digits = data[at + 2 : at + 2 + num_digits]
    if len(digits) < num_digits:
        return 0
    payload_bytes = int.from_bytes(digits, "big") if num_digits else short
    return 2 + num_digits + _MASK_BYTES + payload_bytes
