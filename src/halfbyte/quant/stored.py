"""What a file keeps in fp16, and how training computes with the stored values."""

from typing import Any

import torch
from torch import Tensor


class _StoreHalf(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.half().float()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


def stored_half(value: Tensor) -> Tensor:
    """The value as the model file stores it, in fp16; the gradient passes straight through."""
    return _StoreHalf.apply(value)  # type: ignore[no-untyped-call]


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
