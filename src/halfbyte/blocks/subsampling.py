"""Convolutional subsampling: feature frames to encoder steps."""

from typing import Any

import torch
from torch import Tensor, nn

from halfbyte import _core
from halfbyte.errors import ConfigError
from halfbyte.quant.row_codes import bits_of

KERNEL, STRIDE = 3, 2
_KERNELS = {
    torch.float32: (_core.kernels.patches, _core.kernels.patches_backward),
    torch.bfloat16: (_core.kernels.patches_bf16, _core.kernels.patches_backward_bf16),
}
_NUM_CONVOLUTIONS = {4: 2, 8: 3}


def _patch_views(x: Tensor) -> list[Tensor]:
    """The nine strided views of x: (B, T, F, C) whose elements make up the patches."""
    rows, columns = x.shape[1] - KERNEL + 1, x.shape[2] - KERNEL + 1
    return [
        x[:, row : rows + row : STRIDE, column : columns + column : STRIDE]
        for row in range(KERNEL)
        for column in range(KERNEL)
    ]


class _Patches(torch.autograd.Function):
    """Patches with a backward pass in one buffer; autograd's own fills one for each view.

    On a CPU both are kernels of the engine, one pass over memory each.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.x_shape = x.shape
        if not _has_kernels(x):
            return torch.cat(_patch_views(x), dim=-1)
        down, across = (max(0, (length - 1) // STRIDE) for length in x.shape[1:3])
        out = x.new_empty(x.shape[0], down, across, KERNEL * KERNEL * x.shape[3])
        gather, _ = _KERNELS[x.dtype]
        gather(bits_of(x.contiguous()), bits_of(out), threads=torch.get_num_threads())
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        if _has_kernels(grad):
            dx = grad.new_empty(ctx.x_shape)
            _, scatter = _KERNELS[grad.dtype]
            scatter(bits_of(grad.contiguous()), bits_of(dx), threads=torch.get_num_threads())
            return dx
        dx = grad.new_zeros(ctx.x_shape)
        for view, part in zip(_patch_views(dx), grad.chunk(KERNEL * KERNEL, -1), strict=True):
            view += part
        return dx


def _has_kernels(x: Tensor) -> bool:
    return x.is_cpu and x.dtype in _KERNELS


def patches(x: Tensor) -> Tensor:
    """x: (B, T, F, C) -> (B, (T - 1) // 2, (F - 1) // 2, 9·C), time, frequency, channel."""
    is_tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    is_traced = torch.compiler.is_compiling() or is_tracing
    if is_traced or torch.onnx.is_in_onnx_export() or not x.requires_grad:
        return torch.cat(_patch_views(x), dim=-1)  # torch's own operators alone
    return _Patches.apply(x)  # type: ignore[no-untyped-call]


class PatchConv2d(nn.Module):
    """3 x 3 convolution of stride 2 without padding, as a linear layer over patches.

    Written so that a quantised layer gives each patch a scale of its own. With weight
    (N, 9·C) in the order (time, frequency, channel) this is `nn.Conv2d(C, N, 3, 2)` on
    channels-last tensors.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.linear = nn.Linear(KERNEL * KERNEL * in_channels, out_channels)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, F, C) float32 -> (B, (T - 1) // 2, (F - 1) // 2, N) float32."""
        return self.linear(patches(x))


class Subsampling(nn.Module):
    """Two or three strided convolutions with ReLU, then a projection to the model width.

    Source: WeNet's Conv2dSubsampling4 and 8. Ours keeps channels last, so a checkpoint of
    theirs is permuted on import, and the number of channels is free.

    Args:
        num_bins: F, bins of a feature frame.
        width: D, width of the encoder.
        rate: feature frames per encoder step, 4 or 8.
        channels: channels of every convolution.
    """

    def __init__(self, num_bins: int, width: int, rate: int, channels: int):
        super().__init__()
        if rate not in _NUM_CONVOLUTIONS:
            raise ConfigError(f"model.encoder.subsampling is {rate}; expected 4 or 8")
        num_convolutions = _NUM_CONVOLUTIONS[rate]
        self.rate = rate
        self.convolutions = nn.ModuleList(
            PatchConv2d(1 if i == 0 else channels, channels) for i in range(num_convolutions)
        )
        for _ in range(num_convolutions):
            num_bins = (num_bins - 1) // STRIDE
        self.projection = nn.Linear(num_bins * channels, width)

    @property
    def overlap_frames(self) -> int:
        """Feature frames that neighbouring windows share: 3 at rate 4, 7 at rate 8."""
        return self.rate - 1

    def num_steps(self, num_frames: Tensor) -> Tensor:
        """Encoder steps that so many feature frames give; (...) int64 -> (...) int64."""
        for _ in self.convolutions:
            num_frames = (num_frames - 1) // STRIDE
        return num_frames.clamp_min(0)

    def forward(self, features: Tensor) -> Tensor:
        """features: (B, T, F) float32 -> (B, steps, D) float32."""
        x = features.unsqueeze(-1)
        for convolution in self.convolutions:
            x = torch.relu(convolution(x))
        return self.projection(x.flatten(2))
