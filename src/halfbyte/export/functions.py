"""The quantised operators as ONNX functions of the domain `halfbyte`, in standard operators.

A model file that carries these functions runs as it is in ONNX Runtime, with the bits of
`halfbyte.quant.reference`. Two things in the bodies are there for that reason and must stay:

- The row scale and the weight scale are multiplied in one after the other. ONNX Runtime's extended
  fusion takes a product of both for a scalar, and its result is wrong.
- `Where` guards rows of silence; a division by zero would give NaN.

ONNX Runtime does not refuse NaN and infinity as our kernels do.
"""

import onnx
from onnx import parser

from halfbyte.ops.operator import operators

_LINEAR = """
<domain: "halfbyte", opset_import: ["" : 21]>
Linear <weight_bits, activation_bits> (x, codes, scales, bias) => (y)
{{
    last = Constant <value_ints = [-1]> ()
    largest = Constant <value_floats = {largest_codes}> ()
    bits = Constant <value_int: int = @activation_bits> ()
    qmax = Gather (largest, bits)
    qmin = Neg (qmax)
    one = Constant <value_float = 1.0> ()
    silence = Constant <value_float = {silence}> ()
    magnitude = Abs (x)
    amax = ReduceMax <keepdims = 1> (magnitude, last)
    is_silent = Less (amax, silence)
    quotient = Div (amax, qmax)
    row_scale = Where (is_silent, one, quotient)
    scaled_x = Div (x, row_scale)
    rounded_x = Round (scaled_x)
    clipped_x = Clip (rounded_x, qmin, qmax)
    codes_x = Cast <to = {int8}> (clipped_x)
    bytes_w = Cast <to = {int8}> (codes)
    codes_w = Transpose <perm = [1, 0]> (bytes_w)
    acc = MatMulInteger (codes_x, codes_w)
    acc_f32 = Cast <to = {float32}> (acc)
    by_row = Mul (acc_f32, row_scale)
    scales_f32 = Cast <to = {float32}> (scales)
    by_output = Mul (by_row, scales_f32)
    bias_f32 = Cast <to = {float32}> (bias)
    y = Add (by_output, bias_f32)
}}
"""

_EMBEDDING = """
<domain: "halfbyte", opset_import: ["" : 21]>
Embedding <weight_bits> (ids, codes, scales) => (y)
{{
    last = Constant <value_ints = [-1]> ()
    bytes_w = Cast <to = {int8}> (codes)
    rows = Gather <axis = 0> (bytes_w, ids)
    rows_f32 = Cast <to = {float32}> (rows)
    scales_f32 = Cast <to = {float32}> (scales)
    row_scales = Gather <axis = 0> (scales_f32, ids)
    row_scale = Unsqueeze (row_scales, last)
    y = Mul (rows_f32, row_scale)
}}
"""

_WEIGHT_ONLY = """
<domain: "halfbyte", opset_import: ["" : 21]>
WeightOnlyLinear <weight_bits> (x, codes, scales, bias) => (y)
{{
    last = Constant <value_ints = [-1]> ()
    bytes_w = Cast <to = {int8}> (codes)
    shape_w = Shape (bytes_w)
    codes_f32 = Cast <to = {float32}> (bytes_w)
    scales_f32 = Cast <to = {float32}> (scales)
    groups = Shape (scales_f32)
    split = Concat <axis = 0> (groups, last)
    by_group = Reshape (codes_f32, split)
    wide_scales = Unsqueeze (scales_f32, last)
    scaled = Mul (by_group, wide_scales)
    weight = Reshape (scaled, shape_w)
    columns = Transpose <perm = [1, 0]> (weight)
    product = MatMul (x, columns)
    bias_f32 = Cast <to = {float32}> (bias)
    y = Add (product, bias_f32)
}}
"""

_LARGEST_CODES = [0.0, *(2.0 ** (bits - 1) - 1 for bits in range(1, 9))]  # by activation bits


def functions() -> list[onnx.FunctionProto]:
    """All functions of the domain `halfbyte`, for `ModelProto.functions`.

    Linear <weight_bits, activation_bits> (x, codes, scales, bias) -> y:
        x (..., K) float32; codes (N, K) INT4 or INT8; scales and bias (N,) FLOAT16; y (..., N)
        float32, as `halfbyte.quant.reference.linear`.
    WeightOnlyLinear <weight_bits> (x, codes, scales, bias) -> y:
        the same with scales (N, K / G), one for each group of G inputs, and a float32 product.
    Embedding <weight_bits> (ids, codes, scales) -> y:
        ids (...) int64; codes (V, D) INT4 or INT8; scales (V,) FLOAT16; y (..., D) float32.
    Those of `halfbyte.ops`.

    The model must import the domain `halfbyte`, version 1, and opset 21.
    """
    values = {
        "int8": onnx.TensorProto.INT8,
        "float32": onnx.TensorProto.FLOAT,
        "silence": repr(2.0**-100),
        "largest_codes": _LARGEST_CODES,
    }
    texts = [text.format(**values) for text in (_LINEAR, _WEIGHT_ONLY, _EMBEDDING)]
    texts += [operator.onnx_text for operator in operators().values()]
    return [parser.parse_function(text) for text in texts]
