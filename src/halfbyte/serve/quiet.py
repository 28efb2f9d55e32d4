"""A log that clients cannot fill."""

import logging
import time
import warnings

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam
from aiohttp.http import HttpProcessingError

_MOST_RECORDS = 20  # in a period
_PERIOD_S = 60.0


class Sparing(logging.Filter):
    """Lets so many records through in a minute, then says how many it has left out."""

    def __init__(self) -> None:
        super().__init__()
        self._since_s = 0.0
        self._num_records = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown."""
        now_s = time.monotonic()
        if now_s - self._since_s >= _PERIOD_S:
            if self._num_records > _MOST_RECORDS:
                left_out = self._num_records - _MOST_RECORDS
                record.msg = f"{record.getMessage()} ({left_out} lines before were left out)"
                record.args = None
            self._since_s, self._num_records = now_s, 0
        self._num_records += 1
        return self._num_records <= _MOST_RECORDS


def log_sparingly() -> None:
    """Log warnings and errors of this process to standard error, few of them in a minute."""
    handler = logging.StreamHandler()
    handler.addFilter(Sparing())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], format="%(message)s")
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    for warning in (BadContentDispositionHeader, BadContentDispositionParam):  # with their text
        warnings.simplefilter("ignore", warning)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record tells of more than a request that is none, or a client that has left."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)
