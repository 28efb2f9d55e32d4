"""IntLinear: exact sums of codes, acc[n] = bias[n] + Σ_k x[k] · code[n][k].

x (..., K) int8, codes (N, K) of 1 to 8 bits, bias (N,) int32 = clip(rint(b / (s_x · s_w)), ±2^30),
acc (..., N) int32. K is at most half of what a dynamic layer may have, so |Σ| <= 2^30.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from halfbyte.ops import matmul_codes
from halfbyte.ops.coded import Sums
from halfbyte.ops.integer_leaf import Flow, IntegerLeaf
from halfbyte.ops.native_linear import NativeLinear
from halfbyte.ops.onnx_text import INT8
from halfbyte.ops.operator import PACKED, FrozenOperator, Operator, operators
from halfbyte.quant.quantizer import Quantized
from halfbyte.quant.reference import Int8Array, Int32Array

LARGEST_BIAS = 2.0**30


def reference(x: Int8Array, codes: Int8Array, bias: Int32Array) -> Int32Array:
    """The formula in numpy; x (..., K), codes (N, K) -> (..., N).

    >>> import numpy as np
    >>> reference(np.int8([[2, -1]]), np.int8([[3, 4]]), np.int32([10])).tolist()
    [[12]]
    """
    acc = matmul_codes.reference(x.reshape(-1, x.shape[-1]), codes) + bias
    return acc.reshape(*x.shape[:-1], codes.shape[0])


class _Product(torch.autograd.Function):
    """acc = x_codes · w_codes + bias in int32, and what it stands for, acc · s_x · s_w.

    backward: dx = g · ŵ, dw = gᵀ · x̂, db = Σ g, as of NativeLinear.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        constants: tuple[Tensor, Tensor],
        s_x: float,
    ) -> tuple[Tensor, Tensor]:
        codes, unit = constants  # unit (N,) float64: s_x · s_w
        x_codes = torch.round(x.detach().reshape(-1, x.shape[-1]).float() / s_x).to(torch.int8)
        acc = matmul_codes.compute(x_codes, codes) + whole_bias(bias, unit)
        ctx.save_for_backward(x_codes, codes, unit)
        ctx.s_x, ctx.x_shape = s_x, x.shape
        ctx.dtype = torch.bfloat16 if torch.is_autocast_enabled(x.device.type) else torch.float32
        shape = (*x.shape[:-1], codes.shape[0])
        acc = acc.reshape(shape)
        ctx.mark_non_differentiable(acc)
        return acc.float() * unit.float(), acc

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x_codes, codes, unit = ctx.saved_tensors
        g = grad.reshape(-1, grad.shape[-1])
        weight = codes * (unit / ctx.s_x).float()[:, None]
        dx = g.to(ctx.dtype) @ weight.to(ctx.dtype)
        dw = g.to(ctx.dtype).t() @ (x_codes * ctx.s_x).to(ctx.dtype)
        return dx.float().reshape(ctx.x_shape), dw.float(), g.float().sum(0), None, None


def whole_bias(bias: Tensor, unit: Tensor) -> Tensor:
    """(N,) int32: clip(rint(bias / unit), ±2^30)."""
    whole = torch.round(bias.detach().double() / unit)
    return whole.clamp(-LARGEST_BIAS, LARGEST_BIAS).to(torch.int32)


class IntegerLinear(NativeLinear, IntegerLeaf):
    """A linear layer that gives exact sums; the layer behind it rounds them.

    Args:
        layer: a native linear layer, w1a8 to w8a8, whose parameters it takes over.
    """

    def __init__(self, layer: NativeLinear):
        k, n = layer.in_features, layer.out_features
        has_bias = layer.bias is not None
        super().__init__(k, n, layer.number, has_bias, layer.weight_quantizer, norm=layer.norm)
        self.load_state_dict(layer.state_dict(), strict=False)
        self.activation_quantizer = None  # its source has the range
        self.sources, self.roundings = {}, {}

    def forward(self, x: Flow) -> Sums:  # type: ignore[override]
        """x: (..., K) -> (..., N)."""
        taken = self.take("x", x)
        weight, bias = self.folded(lambda w, b: functional.linear(taken.value, w, b))
        self.observe_weight(weight)
        return Sums(self, taken, weight, bias)

    def real(self, product: Sums) -> Tensor:
        """(..., N) float32: the layer in float, on its rounded weights."""
        weight = self.dequantized(product.weight)
        return functional.linear(product.x.value, weight, product.bias).float()

    def sums(self, product: Sums) -> tuple[Tensor, Tensor, Tensor]:
        """(..., N) float32, (..., N) int32, (N,) float64: what the sums stand for, sums, unit."""
        x, bias = product.x, self._or_zeros(product.bias)
        w_path = self.weight_quantizer.gradient_path(product.weight)
        quantized = self.quantized_weight()
        unit = self._unit(quantized)
        constants = quantized.codes, unit
        real, acc = _Product.apply(x.value, w_path, bias, constants, x.range.scale)  # type: ignore[no-untyped-call]
        return real, acc, unit

    def unit(self) -> Tensor:
        """(N,) float64: s_x · s_w, the real value of 1 in the sums."""
        return self._unit(self.quantized_weight())

    def _unit(self, quantized: Quantized) -> Tensor:
        scales = quantized.scales.expand(self.out_features, 1)[:, 0]
        return scales.double() * self.scale_of("x")

    def whole_bias(self) -> Tensor:
        """(N,) int32: clip(rint(bias / unit), ±2^30)."""
        return whole_bias(self._or_zeros(self.folded_bias()), self.unit())

    def _or_zeros(self, bias: Tensor | None) -> Tensor:
        return self.weight.new_zeros(self.out_features) if bias is None else bias

    def freeze(self) -> FrozenOperator:
        """One node over codes and bias."""
        n, codec = self.out_features, self.number.codec
        return FrozenOperator(
            operators()[codec.operators["codes"]],
            torch.int32,
            {"codes": self.quantized_weight().codes, "bias": self.whole_bias()},
            dict(codec.attributes),
            shape=lambda shape: (*shape[:-1], n),
            before=self.frozen_operands("x"),
        )


OPERATOR = Operator(
    "IntLinear",
    "x, codes, bias",
    attributes="weight_bits",
    constants={"codes": PACKED, "bias": "int32"},
    body=f"""
    bytes_w = Cast <to = {INT8}> (codes)
    codes_w = Transpose <perm = [1, 0]> (bytes_w)
    acc = MatMulInteger (x, codes_w)
    y = Add (acc, bias)""",
)
