"""What the layers of integer-only models have in common."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from halfbyte.quant.ranges import Range


class IntegerLeaf(nn.Module):
    """A layer with one input and one output range, held by whoever made them."""

    def __init__(self, source: Range, out: Range):
        super().__init__()
        self._held = [source, out]

    @property
    def source(self) -> Range:
        """The range of the input."""
        return self._held[0]

    @property
    def out(self) -> Range:
        """The range of the output."""
        return self._held[1]

    def _finish(self, real: Tensor, codes: Callable[[], Tensor]) -> Tensor:
        """Observe the float result, and round to codes where the range has started."""
        if self.training:
            self.out.observe(real)
            if not self.out.is_started:
                return real
        device = real.device.type
        with torch.no_grad(), torch.autocast(device, enabled=False):
            whole = codes()
        return self.out.settle(real, whole)
