"""What a codec is: how the codes of a weight are stored, and which operators multiply them.

A quantiser chooses codes and scales (quant/quantizer.py); a codec stores the codes. The same codec
serves every quantiser whose codes it can hold.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Int8Array = NDArray[np.int8]
ByteArray = NDArray[np.uint8]


class Codec(ABC):
    """One way to store the codes of a weight.

    Attributes:
        name: such as "uniform4".
        bits: of one stored code.
        attributes: of an ONNX node whose weights are stored so, `{"weight_bits": 4}`.
        tensor_type: of the packed codes in a model file (docs/model-file.md).
        onnx_type: of the codes as an ONNX initialiser, "INT4" or "INT8".
        operators: that read the packed codes, by use: "dynamic" and "static" (how activations get
            their scales), "weight_only" (float activations), "table" (rows are looked up) and
            "codes" (integer-only models).
    """

    name: str
    bits: int
    attributes: Mapping[str, int]
    tensor_type: int
    onnx_type: str
    operators: Mapping[str, str]

    @abstractmethod
    def pack(self, codes: Int8Array) -> ByteArray:
        """Codes (N, K) int8 to the bytes of a model file, as the kernels read them.

        Raises:
            InputError: a code does not fit.
        """

    @abstractmethod
    def unpack(self, packed: ByteArray, n: int, k: int) -> Int8Array:
        """The inverse of `pack`: (N, K) int8.

        Raises:
            InputError: `packed` is not as long as N and K need.
        """

    @abstractmethod
    def packed_size(self, n: int, k: int) -> int:
        """Bytes of N x K packed codes."""
