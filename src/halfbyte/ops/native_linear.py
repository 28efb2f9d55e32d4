"""The linear layer whose forward pass in training is the integer operation of the device."""

from typing import Any

import torch
from torch import Tensor, nn

from halfbyte.ops import linear, static_linear
from halfbyte.ops.folding import FoldsNorm
from halfbyte.ops.operator import FrozenOperator, operators
from halfbyte.ops.static_linear import StaticScale
from halfbyte.ops.stored_weight import StoredWeight
from halfbyte.quant.absmax import AbsMaxRows, AbsMaxWeight
from halfbyte.quant.formats import Format
from halfbyte.quant.quantizer import Quantized, Quantizer
from halfbyte.quant.row_codes import values_bf16
from halfbyte.quant.stored import stored_half


def _values(codes: Tensor, scales: Tensor, zeros: Tensor | None, dtype: torch.dtype) -> Tensor:
    """What codes (M, K) stand for; scales (M, 1), or (1, 1) where zero points may come."""
    is_by_row = zeros is None and scales.shape[0] == codes.shape[0]
    if is_by_row and dtype == torch.bfloat16 and not codes.is_cuda:
        return values_bf16(codes, scales[:, 0])
    values = codes if zeros is None else codes.to(torch.int16) - zeros
    return values.float().mul_(scales).to(dtype)


def _linear(
    x: Tensor, w: Quantized, w_scales: Tensor, bias: Tensor, number: Format, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The product over live rows of any shape, and what their codes stand for, as rows."""
    rows = x.detach().reshape(-1, x.shape[-1])
    if dtype == torch.float32 or rows.dtype == torch.float16:
        rows = rows.float()
    return linear.compute(rows, w.codes, w_scales, bias, number, dtype)


class _IntegerProduct(torch.autograd.Function):
    """y = ((float(x_codes · w_codes) · s_x) · s_w) + b; gradients of the dequantised product.

    backward: dx = g · ŵ, dw = gᵀ · x̂, db = Σ g, with ŵ and x̂ what the codes stand for; where
    autocast is on, g, ŵ and x̂ are bfloat16, as in a float layer there. So is then what follows
    the forward product, which itself is exact: y is rounded to bfloat16 at its end.
    What a method makes of dx and dw is in its gradient path, which x and weight are.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        w: Quantized,
        static_x: Quantized | None,
        number: Format,
    ) -> Tensor:
        dtype = torch.bfloat16 if torch.is_autocast_enabled(x.device.type) else torch.float32
        w_scales = w.scales.expand(weight.shape[0], 1)[:, 0].contiguous()
        stored_bias = (
            w_scales.new_zeros(w_scales.shape) if bias is None else bias.detach().half().float()
        )
        if static_x is None:
            y, x_values = _linear(x, w, w_scales, stored_bias, number, dtype)
        else:
            y = static_linear.compute(static_x, w, stored_bias).to(dtype)
            x_values = _values(static_x.codes, static_x.scales, static_x.zero_points, dtype)
        ctx.save_for_backward(x_values, w.codes, w_scales)
        ctx.x_shape, ctx.x_dtype, ctx.has_bias = x.shape, x.dtype, bias is not None
        return y.reshape(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None, None]:
        x_values, w_codes, w_scales = ctx.saved_tensors
        dtype = x_values.dtype
        g = grad.reshape(-1, grad.shape[-1]).to(dtype)
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            dx = g @ _values(w_codes, w_scales.unsqueeze(1), None, dtype)
            dx = dx.reshape(ctx.x_shape).to(ctx.x_dtype)
        if ctx.needs_input_grad[1]:
            dw = (g.t() @ x_values).float()
        if ctx.has_bias and ctx.needs_input_grad[2]:
            db = g.sum(0).float()
        return dx, dw, db, None, None, None


class NativeLinear(nn.Linear, FoldsNorm, StoredWeight):
    """Linear layer on integers: what it computes in training is what the device computes.

    Weights are quantised per output channel, activations per row from the live row or with a
    static scale (docs/integer-spec.md). In weight-only formats the product is float32, of the
    values that the codes stand for. Master weights are float32; how the gradient
    passes the rounding is the methods' affair (quantizer.py).

    Source: Ding et al. 2022 (arXiv:2203.15952), integer forward; ours keeps scales and bias
    in fp16 and trains with the stored values.

    Args:
        number: bits of weights and activations.
        bias: whether a bias is added.
        weight_quantizer: abs-max per output channel if not given.
        activation_quantizer: abs-max per row if not given; None for weight-only formats.
        norm: batch norm behind the layer, to be folded.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        number: Format,
        bias: bool = True,
        weight_quantizer: Quantizer | None = None,
        activation_quantizer: Quantizer | None = None,
        norm: nn.BatchNorm1d | None = None,
    ):
        super().__init__(in_features, out_features, bias=bias)
        self.number = number
        self.weight_quantizer = weight_quantizer or AbsMaxWeight(number.weight_bits)
        if not number.is_weight_only:
            activation_quantizer = activation_quantizer or AbsMaxRows(number.activation_bits)
        self.activation_quantizer = activation_quantizer
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., K) float32 -> (..., N) float32, or under autocast (..., N) bfloat16."""
        weight, bias = self.folded(lambda w, b: nn.functional.linear(x, w, b))
        self.observe_weight(weight)
        if self.activation_quantizer is None:
            stored = None if bias is None else stored_half(bias)
            return nn.functional.linear(x, self.dequantized(weight), stored)
        static = None
        path = x
        if not isinstance(self.activation_quantizer, AbsMaxRows):
            static, path = self._static_codes(x)
        w_path = self.weight_quantizer.gradient_path(weight)
        quantized = self.weight_quantizer.quantize(weight.detach())
        return _IntegerProduct.apply(  # type: ignore[no-untyped-call]
            path, w_path, bias, quantized, static, self.number
        )

    def _static_codes(self, x: Tensor) -> tuple[Quantized, Tensor]:
        assert self.activation_quantizer is not None
        rows = x.reshape(-1, x.shape[-1]).float()
        if self.training:
            self.activation_quantizer.observe(rows.detach())
        path = self.activation_quantizer.gradient_path(rows)
        return self.activation_quantizer.quantize(rows.detach()), path.reshape(x.shape)

    def freeze(self) -> FrozenOperator:
        """One node over what the file stores: codes, scales, bias."""
        codec, quantized, bias = self.number.codec, self.quantized_weight(), self.folded_bias()
        scales = quantized.scales[:, 0].half()
        constants = {"codes": quantized.codes, "scales": scales}
        constants["bias"] = torch.zeros_like(scales) if bias is None else bias.detach().half()
        attributes = dict(codec.attributes)
        if self.activation_quantizer is None:
            use, constants["scales"] = "weight_only", quantized.scales.half()  # one for each group
        elif isinstance(self.activation_quantizer, AbsMaxRows):
            use, attributes["activation_bits"] = "dynamic", self.number.activation_bits
        else:
            use, static = "static", StaticScale.of(self.activation_quantizer)
            attributes |= static.attributes
            constants["offsets"] = static.offsets(quantized.codes)
            constants["step"] = torch.tensor(static.scale, dtype=torch.float32)
        return FrozenOperator(
            operators()[codec.operators[use]],
            torch.float32,
            constants,
            attributes,
            lambda shape: (*shape[:-1], self.out_features),
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.number.name}"
