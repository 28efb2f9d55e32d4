"""Saved states come back whole, and anything else is refused in one line."""

import pytest

from halfbyte.errors import UsageError
from halfbyte.listen.snapshot import pack_snapshot, unpack_snapshot


def test_round_trip():
    parts = [b"", b"abc", bytes(range(256))]
    assert unpack_snapshot(pack_snapshot({"n": 7}, parts)) == ({"n": 7}, parts)


@pytest.mark.parametrize(
    "damaged", [b"", b"HBST0001", b"x" * 50, pack_snapshot({}, [b"abc"])[:-1], b"HBST0001\xff" * 3]
)
def test_damaged(damaged):
    with pytest.raises(UsageError, match="saved state"):
        unpack_snapshot(damaged)
