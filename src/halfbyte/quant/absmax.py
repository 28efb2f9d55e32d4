"""Absolute-maximum quantisation in torch: the codes and scales of the integer contract.

Source: Ding et al. 2022, "4-bit Conformer with Native Quantization Aware Training"
(arXiv:2203.15952), whose scale takes max|x| to E = 2^(b-1) - 1/2, the far edge of the last
bucket, and whose rounding clips to ±(2^(b-1) - 1). Ours takes max|x| to 2^(b-1) - 1 from 4 bits
on, where the half step is small change, and to their E at 3 and 2 bits, where it decides which
weights are zero. At 1 bit theirs has levels ±max|x|; ours are ±mean|x|, which is nearest in
squares (Rastegari et al. 2016, XNOR-Net, arXiv:1603.05279).
"""

import torch
from torch import Tensor

from halfbyte.quant.quantizer import (
    CHANNEL,
    SMALLEST_WEIGHT_SCALE,
    Granularity,
    Quantized,
    Quantizer,
    largest_code,
    round_to_codes,
)
from halfbyte.quant.row_codes import weight_codes

SMALLEST_ACTIVATION = 2.0**-100  # below this a row counts as zero, so that no scale underflows
_FEW_BITS = 3  # from here down a scale takes the largest weight half a step beyond the last code


def weight_edge(num_bits: int) -> float:
    """What max|w| is in units of the scale: 7 at 4 bits, 3.5 at 3, 1.5 at 2."""
    return largest_code(num_bits) + (0.5 if num_bits <= _FEW_BITS else 0.0)


def stored_scale(scale: Tensor) -> Tensor:
    """A weight scale as the file stores it: fp16, at least 2^-14; float32 in and out."""
    return scale.half().float().clamp_min(SMALLEST_WEIGHT_SCALE)


def quantize_weight(weight: Tensor, num_bits: int) -> tuple[Tensor, Tensor]:
    """Round each output channel of a weight to integer codes with one fp16 scale.

    scale = max(fp16(max|w| / edge), 2^-14), code = clip(rint(w / scale), -qmax, qmax); edge is qmax
    from 4 bits on, qmax + 1/2 at 3 and 2. 1 bit: scale = max(fp16(mean|w|), 2^-14), code ±1.

    Args:
        weight: (N, K) float32, finite; N outputs, K inputs.
        num_bits: 1 to 8.

    Returns:
        codes: (N, K) int8, each in -qmax..qmax.
        scales: (N,) float32, each representable in fp16.
    """
    quantized = AbsMaxWeight(num_bits).quantize(weight)
    return quantized.codes, quantized.scales[:, 0]


def quantize_rows(x: Tensor, num_bits: int) -> tuple[Tensor, Tensor]:
    """Round each row of activations to integer codes with a scale taken from the row itself.

    scale = 1 if max|x| < 2^-100 else max|x| / qmax, code = clip(rint(x / scale), -qmax, qmax).

    Args:
        x: (M, K) float32, finite.
        num_bits: 2 to 8.

    Returns:
        codes: (M, K) int8, each in -qmax..qmax.
        scales: (M, 1) float32.
    """
    qmax = largest_code(num_bits)
    amax = x.abs().amax(dim=1, keepdim=True)
    scales = torch.where(amax < SMALLEST_ACTIVATION, torch.ones_like(amax), amax / qmax)
    return torch.round(x / scales).clamp_(-qmax, qmax).to(torch.int8), scales


class AbsMaxWeight(Quantizer):
    """Weights whose scale is their own absolute maximum, taken anew in every step.

    `quantize_weight` has the formula; the gradient passes straight through, because abs-max leaves
    nothing outside of the range.

    >>> q = AbsMaxWeight(2).quantize(torch.tensor([[3.0, -1.2, 0.9]]))
    >>> q.codes.tolist(), q.scales.tolist()
    ([[1, -1, 0]], [[2.0]])
    """

    def __init__(self, num_bits: int, granularity: Granularity = CHANNEL):
        super().__init__(num_bits, granularity)

    def quantize(self, x: Tensor) -> Quantized:
        """Codes and scales of x, (N, K) float32: scale = max|x| / edge, at 1 bit mean|x|.

        On a CPU a scale per channel is found by the engine's kernel, with the same bits.
        """
        if self.granularity == CHANNEL and self.num_bits > 1 and x.device.type == "cpu":
            codes, scales = weight_codes(x, weight_edge(self.num_bits), largest_code(self.num_bits))
            return Quantized(codes, scales.unsqueeze(1))
        split = self.granularity.split(x)
        if self.num_bits == 1:
            raw = split.abs().double().mean(dim=2).float()  # one rounding, in any order of sum
        else:
            raw = split.abs().amax(dim=2) / weight_edge(self.num_bits)
        scales = stored_scale(raw)
        codes = round_to_codes(split / scales.unsqueeze(2), self.num_bits)
        return Quantized(codes.reshape(x.shape), scales)


class AbsMaxRows(Quantizer):
    """Activations whose rows each have a scale of their own, taken from the live row.

    `quantize_rows` has the formula. A dynamic quantiser: the layer's kernel quantises by itself.
    """

    def __init__(self, num_bits: int):
        super().__init__(num_bits, CHANNEL)

    def quantize(self, x: Tensor) -> Quantized:
        return Quantized(*quantize_rows(x, self.num_bits))
