"""Why a client is turned away: one code, one line, one WebSocket close code."""

from halfbyte.errors import HalfbyteError

# RFC 6455, section 7.4.1, and the IANA registry of close codes
CLOSE_DONE = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_BAD_DATA = 1007
CLOSE_POLICY = 1008
CLOSE_TOO_BIG = 1009
CLOSE_INTERNAL = 1011
CLOSE_TRY_LATER = 1013

CLOSE_CODES = {
    "bad_message": CLOSE_BAD_DATA,  # no JSON, an unknown key, a value out of range, a wrong moment
    "bad_audio": CLOSE_BAD_DATA,  # NaN, infinity, a cut sample
    "message_too_large": CLOSE_TOO_BIG,
    "stream_too_long": CLOSE_POLICY,
    "idle": CLOSE_POLICY,
    "too_slow": CLOSE_POLICY,
    "too_many_streams": CLOSE_TRY_LATER,
    "overloaded": CLOSE_TRY_LATER,
    "disk_full": CLOSE_TRY_LATER,
    "shutting_down": CLOSE_GOING_AWAY,
    "internal": CLOSE_INTERNAL,
}


class RefusedError(HalfbyteError):
    """A client's mistake or a limit; the client is told `code` and the message.

    Args:
        code: a key of CLOSE_CODES.
        message: what came, what was expected.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code

    @property
    def close_code(self) -> int:
        """Of the WebSocket."""
        return CLOSE_CODES[self.code]
