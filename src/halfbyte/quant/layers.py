"""Torch layers whose forward pass is the integer operation of the device."""

from typing import Any

import torch
from torch import Tensor, nn

from halfbyte.quant.absmax import quantize_weight, stored_half
from halfbyte.quant.formats import Format
from halfbyte.quant.integer_linear import integer_linear


class _NativeLinear(torch.autograd.Function):
    """y = ((float(x_codes · w_codes) · s_x) · s_w) + b; gradients as if nothing were rounded.

    backward: dx = g · (w_codes · s_w), dw = gᵀ · (x_codes · s_x), db = Σ g, the products in
    bfloat16 on a CPU that autocasts (the integers are exact there, only g is rounded).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, number: Format) -> Tensor:
        rows = x.detach().reshape(-1, x.shape[-1]).float()
        w_codes, w_scales = quantize_weight(weight.detach(), number.weight_bits)
        stored_bias = w_scales.new_zeros(w_scales.shape) if bias is None else bias.detach().half()
        y, x_codes, x_scales = integer_linear(rows, w_codes, w_scales, stored_bias.float(), number)
        ctx.save_for_backward(x_codes, x_scales, w_codes, w_scales)
        ctx.x_shape, ctx.x_dtype, ctx.has_bias = x.shape, x.dtype, bias is not None
        ctx.product_dtype = torch.bfloat16 if torch.is_autocast_enabled(x.device.type) else None
        return y.reshape(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        x_codes, x_scales, w_codes, w_scales = ctx.saved_tensors
        dtype = ctx.product_dtype or torch.float32
        g = grad.reshape(-1, grad.shape[-1])
        dx = (g * w_scales).to(dtype) @ w_codes.to(dtype)
        dw = (g * x_scales).to(dtype).t() @ x_codes.to(dtype)
        db = g.float().sum(0) if ctx.has_bias else None
        return dx.reshape(ctx.x_shape).to(ctx.x_dtype), dw.float(), db, None


class NativeLinear(nn.Linear):
    """Linear layer on integers: what it computes in training is what the device computes.

    Weights are quantised per output channel, activations per row from the live row
    (docs/integer-spec.md, LinearW4A8). Master weights are float32; the gradient passes the
    rounding unchanged.

    Source: Ding et al. 2022 (arXiv:2203.15952), integer forward; ours keeps scales and bias
    in fp16 and trains with the stored values.

    Args:
        number: bits of weights and activations.
        bias: whether a bias is added.
    """

    def __init__(self, in_features: int, out_features: int, number: Format, bias: bool = True):
        super().__init__(in_features, out_features, bias=bias)
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., K) float32 -> (..., N) float32."""
        return _NativeLinear.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, self.number
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.number.name}"


class NativeEmbedding(nn.Embedding):
    """Embedding table of integer codes, one fp16 scale per row.

    y = float(code) · scale; the gradient passes the rounding unchanged.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, number: Format):
        super().__init__(num_embeddings, embedding_dim)
        self.number = number

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (...) int64 -> (..., D) float32."""
        codes, scales = quantize_weight(self.weight.detach(), self.number.weight_bits)
        stored = codes.float() * scales[:, None]
        straight_through = stored + (self.weight - self.weight.detach())
        return nn.functional.embedding(ids, straight_through)


class StoredParameters:
    """Mixin for modules whose small parameters the file stores in fp16.

    A float32 model keeps them in float32: `make_native` sets `stores_half`.
    """

    stores_half: bool = False

    def stored(self, value: Tensor) -> Tensor:
        """The value as the file stores it; a frozen copy (export) holds it in fp16 already."""
        if value.dtype == torch.float16:
            return value.float()
        return stored_half(value) if self.stores_half else value
