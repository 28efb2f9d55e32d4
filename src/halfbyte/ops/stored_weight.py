"""A layer whose weight is stored as codes: training computes with what the codes stand for."""

import torch
from torch import Tensor, nn

from halfbyte.quant.carry import carry
from halfbyte.quant.quantizer import Quantized, Quantizer


class StoredWeight(nn.Module):
    """A layer whose weight is what its quantiser makes of the float32 master weight."""

    weight: Tensor
    weight_quantizer: Quantizer

    def folded_weight(self) -> Tensor:
        """What is quantised: the master weight, with what is folded into it (folding.py)."""
        return self.weight

    def unfolded_weight(self, folded: Tensor) -> Tensor:
        """The master weight that `folded_weight` makes this of."""
        return folded

    def settle_weight(self) -> None:
        """Let the master weight be what its codes stand for."""
        with torch.no_grad():
            self.weight.copy_(self.unfolded_weight(self.quantized_weight().dequantize()))

    def quantized_weight(self) -> Quantized:
        """Codes and scales of the weight: what the layer computes with, and what is exported."""
        return self.weight_quantizer.quantize(self.folded_weight().detach())

    def dequantized(self, weight: Tensor) -> Tensor:
        """What the codes of a weight stand for, with the quantiser's rule for the gradient."""
        codes = self.weight_quantizer.quantize(weight.detach())
        return carry(self.weight_quantizer.gradient_path(weight), codes.dequantize())

    def observe_weight(self, weight: Tensor) -> None:
        """In training, let the quantiser take note of a weight."""
        if self.training:
            self.weight_quantizer.observe(weight.detach())
