"""The linear layer of integer-only models."""

from typing import Any

import torch
from torch import Tensor

from halfbyte.errors import ConfigError
from halfbyte.ops import integer_arithmetic as arithmetic
from halfbyte.quant.integer_linear import _int_mm, _padded_int_mm
from halfbyte.quant.layers import NativeLinear
from halfbyte.quant.quantizer import Quantized
from halfbyte.quant.ranges import Range

LARGEST_BIAS = 2.0**30


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
        multiply = _padded_int_mm if x.is_cuda else _int_mm
        whole_bias = torch.round(bias.detach().double() / unit).clamp(-LARGEST_BIAS, LARGEST_BIAS)
        acc = multiply(x_codes, codes) + whole_bias.to(torch.int32)
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


class IntegerLinear(NativeLinear):
    """y = round(acc · M / 2^n), acc = x_codes · w_codes + bias in int32 (docs/integer-spec.md).

    Values in and out are float32 that stand for integers: code times scale.

    Args:
        layer: a native linear layer, whose parameters it takes over.
        source: range of the input.
        ranges: of the output, or of its equal parts side by side; this layer observes them.
        low: least output code: 0 is a ReLU.
        factor: what the output is multiplied by.
        gives_numbers: whether the exported layer gives float numbers rather than codes.

    Raises:
        ConfigError: a format without integer activations of 8 bits.
    """

    def __init__(
        self,
        layer: NativeLinear,
        source: Range,
        ranges: tuple[Range, ...],
        low: int | None = None,
        factor: float = 1.0,
        gives_numbers: bool = False,
    ):
        k, n = layer.in_features, layer.out_features
        has_bias = layer.bias is not None
        super().__init__(k, n, layer.number, has_bias, layer.weight_quantizer)
        self.load_state_dict(layer.state_dict(), strict=False)
        if layer.number.activation_bits != 8:
            raise ConfigError(
                f"integer-only layers are w1a8 to w8a8; {layer.number.name} came: change the format"
            )
        self.activation_quantizer = None  # its source has the range
        self._source, self._ranges = [source], list(ranges)
        self.low, self.factor, self.gives_numbers = low, factor, gives_numbers

    @property
    def source(self) -> Range:
        """The range of the input."""
        return self._source[0]

    @property
    def out(self) -> Range:
        """The range of the first part of the output."""
        return self._ranges[0]

    @property
    def limits(self) -> tuple[int, int]:
        """Least and largest code of the output."""
        largest = self.out.largest
        return -largest if self.low is None else self.low, largest

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """x: (..., K) float32 -> (..., N) float32; the residual is in the range of the output."""
        self._observe_weight(self.weight)
        if self.training and self.gives_numbers:
            self.out.move()  # nobody else does, for what gives numbers stands at the end
        if self.training and not self.out.is_started:
            real = self.observe_output(x, residual)
            if self.gives_numbers:
                self.out.start()
            return real
        w_path = self.weight_quantizer.gradient_path(self.weight)
        bias = self.weight.new_zeros(self.out_features) if self.bias is None else self.bias
        quantized = self.quantized_weight()
        constants = quantized.codes, self._unit(quantized)
        real, acc = _Product.apply(x, w_path, bias, constants, self.source.scale)  # type: ignore[no-untyped-call]
        real = self._observed(real, residual)
        before = None if residual is None else self.out.codes(residual)
        multipliers, shift = self.multipliers(quantized)
        codes = arithmetic.requantize(acc, multipliers, shift, self.limits, before)
        return self._settle(real, codes)

    def observe_output(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """The layer in float, on its rounded weights, while ranges take note of the output."""
        real = torch.nn.functional.linear(x, self._dequantized(self.weight), self.bias)
        return self._observed(real.float(), residual)

    def _observed(self, real: Tensor, residual: Tensor | None) -> Tensor:
        real = real * self.factor
        if self.low == 0:
            real = torch.relu(real)
        if residual is not None:
            real = real + residual
        if self.training:
            for part, part_range in zip(self._parts(real), self._ranges, strict=True):
                part_range.observe(part)
        return real

    def _settle(self, real: Tensor, codes: Tensor) -> Tensor:
        parts = zip(self._ranges, self._parts(real), self._parts(codes), strict=True)
        return torch.cat([r.settle(part, whole) for r, part, whole in parts], dim=-1)

    def _parts(self, x: Tensor) -> tuple[Tensor, ...]:
        return x.chunk(len(self._ranges), -1)

    def _unit(self, quantized: Quantized) -> Tensor:
        """(N,) float64: s_x · s_w, the real value of 1 in the sums."""
        scales = quantized.scales.expand(self.out_features, 1)[:, 0]
        return scales.double() * self.source.scale

    def multipliers(self, quantized: Quantized) -> tuple[Tensor, int]:
        """M (N,) int64 and n: of s_x · s_w · factor / s_y."""
        part = self.out_features // len(self._ranges)
        scales = [self._unit(quantized).new_full((part,), r.scale) for r in self._ranges]
        return arithmetic.fixed_point(self._unit(quantized) * self.factor / torch.cat(scales))

    def whole_bias(self, quantized: Quantized) -> Tensor:
        """(N,) int32: rint(bias / (s_x · s_w))."""
        unit = self._unit(quantized)
        bias = torch.zeros_like(unit) if self.bias is None else self.bias.detach().double()
        return torch.round(bias / unit).clamp(-LARGEST_BIAS, LARGEST_BIAS).to(torch.int32)
