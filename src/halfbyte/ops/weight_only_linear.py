"""WeightOnlyLinear: weights are widened to fp32, the product is fp32.

    w[n][k] = fp32(code[n][k]) · fp32(scale[n][k // G]),   y = x · wᵀ + bias

One scale for each group of G inputs. The order of the sum over k is not specified: a float product
differs between machines, so this operator is not equal to the last bit between them.
"""

import numpy as np

from halfbyte.ops.onnx_text import FLOAT, INT8
from halfbyte.ops.operator import PACKED, Operator
from halfbyte.quant.reference import FloatArray, HalfArray, Int8Array


def reference(x: FloatArray, codes: Int8Array, scales: HalfArray, bias: HalfArray) -> FloatArray:
    """The formula in numpy.

    Args:
        x: (..., K) float32.
        codes: (N, K) int8.
        scales: (N, K / G) float16, one for each group of G inputs.
        bias: (N,) float16.

    Returns:
        (..., N) float32.

    >>> codes, half = np.int8([[2, 3]]), np.float16([[0.5, 2.0]])
    >>> reference(np.float32([[1, 1]]), codes, half, np.float16([1])).tolist()
    [[8.0]]
    """
    groups = codes.astype(np.float32).reshape(*scales.shape, -1)  # (N, K / G, G)
    weight = (groups * scales.astype(np.float32)[..., None]).reshape(codes.shape)
    return (x @ weight.T + bias.astype(np.float32)).astype(np.float32)


OPERATOR = Operator(
    "WeightOnlyLinear",
    "x, codes, scales, bias",
    attributes="weight_bits",
    constants={"codes": PACKED, "scales": "float32", "bias": "float32"},
    body=f"""
    last = Constant <value_ints = [-1]> ()
    bytes_w = Cast <to = {INT8}> (codes)
    shape_w = Shape (bytes_w)
    codes_f32 = Cast <to = {FLOAT}> (bytes_w)
    scales_f32 = Cast <to = {FLOAT}> (scales)
    groups = Shape (scales_f32)
    split = Concat <axis = 0> (groups, last)
    by_group = Reshape (codes_f32, split)
    wide_scales = Unsqueeze (scales_f32, last)
    scaled = Mul (by_group, wide_scales)
    weight = Reshape (scaled, shape_w)
    columns = Transpose <perm = [1, 0]> (weight)
    product = MatMul (x, columns)
    bias_f32 = Cast <to = {FLOAT}> (bias)
    y = Add (product, bias_f32)""",
)
