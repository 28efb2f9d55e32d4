"""Embedding: rows of a quantised table, y[d] = fp32(code[id][d]) · fp32(scale[id])."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from halfbyte.errors import InputError
from halfbyte.ops.onnx_text import FLOAT, INT8
from halfbyte.ops.operator import PACKED, FrozenOperator, Operator, operators
from halfbyte.ops.stored_weight import StoredWeight
from halfbyte.quant.absmax import AbsMaxWeight
from halfbyte.quant.formats import Format
from halfbyte.quant.quantizer import Quantizer
from halfbyte.quant.reference import FloatArray, HalfArray, Int8Array


def reference(ids: NDArray[np.int64], codes: Int8Array, scales: HalfArray) -> FloatArray:
    """The formula in numpy.

    Args:
        ids: (...) int64, each in 0..V-1.
        codes: (V, D) int8.
        scales: (V,) float16, one per row of the table.

    Returns:
        (..., D) float32.

    Raises:
        InputError: an id lies outside 0..V-1.

    >>> reference(np.int64([1]), np.int8([[1, 2], [3, -4]]), np.float16([1, 0.5])).tolist()
    [[1.5, -2.0]]
    """
    if ids.size and not (ids.min() >= 0 and ids.max() < len(codes)):
        raise InputError(f"token ids are {ids.min()}..{ids.max()}; expected 0..{len(codes) - 1}")
    return codes[ids].astype(np.float32) * scales[ids].astype(np.float32)[..., None]


class NativeEmbedding(nn.Embedding, StoredWeight):
    """Embedding table of integer codes, one fp16 scale per row.

    y = float(code) · scale.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        number: Format,
        weight_quantizer: Quantizer | None = None,
    ):
        super().__init__(num_embeddings, embedding_dim)
        self.number = number
        self.weight_quantizer = weight_quantizer or AbsMaxWeight(number.weight_bits)

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (...) int64 -> (..., D) float32."""
        self.observe_weight(self.weight)
        return nn.functional.embedding(ids, self.dequantized(self.weight))

    def freeze(self) -> FrozenOperator:  # type: ignore[override]
        """One node over what the file stores: codes, scales."""
        codec, quantized = self.number.codec, self.quantized_weight()
        return FrozenOperator(
            operators()[codec.operators["table"]],
            torch.float32,
            {"codes": quantized.codes, "scales": quantized.scales[:, 0].half()},
            dict(codec.attributes),
            lambda shape: (*shape, self.embedding_dim),
        )


OPERATOR = Operator(
    "Embedding",
    "ids, codes, scales",
    attributes="weight_bits",
    constants={"codes": PACKED, "scales": "float32"},
    body=f"""
    last = Constant <value_ints = [-1]> ()
    bytes_w = Cast <to = {INT8}> (codes)
    rows = Gather <axis = 0> (bytes_w, ids)
    rows_f32 = Cast <to = {FLOAT}> (rows)
    scales_f32 = Cast <to = {FLOAT}> (scales)
    row_scales = Gather <axis = 0> (scales_f32, ids)
    row_scale = Unsqueeze (row_scales, last)
    y = Mul (rows_f32, row_scale)""",
)
