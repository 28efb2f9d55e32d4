"""The packed layout: C++ and numpy write the same bytes, and codes survive."""

import numpy as np
import pytest
from kernel_cases import SHAPES, Guarded, make_codes

from halfbyte import _core
from halfbyte.errors import InputError, UsageError
from halfbyte.quant.codecs import uniform as packing

kernels = _core.kernels


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("shape", [(n, k) for _, n, k in SHAPES], ids=str)
def test_packed_bytes_equal_reference_and_survive(bits, shape):
    codes = make_codes("random", bits, shape, is_weight=True)
    packed = np.asarray(kernels.pack(codes, bits))
    np.testing.assert_array_equal(packed, packing.pack(codes, bits))
    assert packed.ctypes.data % 64 == 0
    out = Guarded(shape, np.int8)
    kernels.unpack(packed, bits, out.view)
    out.assert_intact()
    np.testing.assert_array_equal(out.view, codes)
    np.testing.assert_array_equal(packing.unpack(packed, bits, *shape), codes)


@pytest.mark.parametrize(
    ("bits", "n", "k", "byte", "shift"),
    [
        (8, 0, 0, 0, 0),
        (8, 3, 2, 14, 0),
        (8, 15, 7, 64 + 63, 0),
        (8, 16, 0, 3 * 64, 0),
        (4, 3, 2, 14, 0),
        (4, 3, 6, 14, 4),
        (4, 3, 8, 64 + 12, 0),
        (4, 17, 11, 2 * 64 + 64 + 7, 0),
        (4, 17, 4, 2 * 64 + 4, 4),
    ],
)
def test_one_code_lies_where_the_specification_says(bits, n, k, byte, shift):
    codes = np.zeros((18, 12), np.int8)
    codes[n, k] = -3
    packed = np.asarray(kernels.pack(codes, bits))
    assert np.flatnonzero(packed).tolist() == [byte]
    assert packed[byte] == (253 if bits == 8 else 13 << shift)


@pytest.mark.parametrize(
    ("bits", "k", "bytes"),
    [
        (1, 29, {1: 1 << 7}),
        (2, 29, {64 + 1: 3 << 6}),
        (3, 29, {64 + 1: 3 << 6, 128 + 1: 1 << 7}),
        (5, 29, {3 * 64 + 1: 15 << 4, 4 * 64 + 1: 1 << 7}),
        (6, 29, {3 * 64 + 64 + 1: 15 << 4, 3 * 64 + 128 + 1: 3 << 6}),
        (7, 29, {3 * 64 + 1: 15 << 4, 5 * 64 + 1: 3 << 6, 6 * 64 + 1: 1 << 7}),
    ],
)
def test_planes_lie_where_the_specification_says(bits, k, bytes):
    codes = np.full((1, 32), -1 if bits == 1 else 0, np.int8)
    codes[0, k] = 1 if bits == 1 else -1  # all bits set
    packed = np.asarray(kernels.pack(codes, bits))
    assert {int(i): int(packed[i]) for i in np.flatnonzero(packed)} == bytes


@pytest.mark.parametrize(
    ("bits", "code", "range"),
    [
        (4, -9, r"4-bit codes lie in -8\.\.7"),
        (4, 8, r"4-bit codes lie in -8\.\.7"),
        (2, 2, r"2-bit codes lie in -2\.\.1"),
        (1, 0, "1-bit codes are -1 and 1"),
        (1, 3, "1-bit codes are -1 and 1"),
    ],
)
def test_codes_that_do_not_fit_are_refused(bits, code, range):
    codes = np.full((1, 1), code, np.int8)
    with pytest.raises(InputError, match=f"{code} is out of range; {range}"):
        kernels.pack(codes, bits)
    with pytest.raises(InputError, match=range):
        packing.pack(codes, bits)


def test_other_widths_are_refused():
    codes = np.zeros((1, 1), np.int8)
    for bits in (0, 9):
        for pack in (kernels.pack, packing.pack):
            with pytest.raises(UsageError, match=f"weights have {bits} bits"):
                pack(codes, bits)


def test_packed_weights_of_another_size_are_refused():
    with pytest.raises(InputError, match="another size"):
        kernels.unpack(np.zeros(64, np.uint8), 8, np.zeros((17, 4), np.int8))
    with pytest.raises(InputError, match="got 64 packed bytes"):
        packing.unpack(np.zeros(64, np.uint8), 8, 17, 4)
