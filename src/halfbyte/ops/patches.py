"""3 x 3 patches of an image in steps of 2, and their gradient, in one pass over memory each."""

from typing import Any

import torch
from torch import Tensor

from halfbyte import _core
from halfbyte.quant.row_codes import bits_of

KERNEL, STRIDE = 3, 2
_KERNELS = {
    torch.float32: (_core.kernels.patches, _core.kernels.patches_backward),
    torch.bfloat16: (_core.kernels.patches_bf16, _core.kernels.patches_backward_bf16),
}


def patch_views(x: Tensor) -> list[Tensor]:
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
            return torch.cat(patch_views(x), dim=-1)
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
        for view, part in zip(patch_views(dx), grad.chunk(KERNEL * KERNEL, -1), strict=True):
            view += part
        return dx


def _has_kernels(x: Tensor) -> bool:
    return x.is_cpu and x.dtype in _KERNELS


def patches(x: Tensor) -> Tensor:
    """x: (B, T, F, C) -> (B, (T - 1) // 2, (F - 1) // 2, 9·C), time, frequency, channel."""
    is_tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    is_traced = torch.compiler.is_compiling() or is_tracing
    if is_traced or torch.onnx.is_in_onnx_export() or not x.requires_grad:
        return torch.cat(patch_views(x), dim=-1)  # torch's own operators alone
    return _Patches.apply(x)  # type: ignore[no-untyped-call]
