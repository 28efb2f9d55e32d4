"""Weights rounded after tanh: few large ones do not stretch the grid of the many small ones.

    t = tanh(w), v = t / max|t|, code = rint(v · qmax), value = code · max|t| / qmax
    1 bit: code = 1 if w >= 0 else -1, value = code · mean|t|

The gradient passes the rounding straight through, and tanh as it is: dvalue/dw = 1 - t².

Source: Zhou et al. 2016, DoReFa-Net (arXiv:1606.06160), as Zeng et al. 2022 (arXiv:2207.06920) have
it. Differences: the maximum is that of an output channel, as scales of the integer contract are,
and it stays in the value, so that a layer without a norm behind it keeps its size; the codes are
symmetric, theirs have no zero.
"""

import torch
from torch import Tensor

from halfbyte.quant.absmax import AbsMaxWeight
from halfbyte.quant.quantizer import Quantized


class TanhWeight(AbsMaxWeight):
    """Abs-max quantisation of tanh(w).

    >>> q = TanhWeight(4).quantize(torch.tensor([[0.1, -0.05, 2.0]]))
    >>> q.codes.tolist()
    [[1, 0, 7]]
    """

    def quantize(self, x: Tensor) -> Quantized:
        return super().quantize(torch.tanh(x))

    def gradient_path(self, x: Tensor) -> Tensor:
        return torch.tanh(x)
