"""Convolutional subsampling: feature frames to encoder steps."""

from torch import Tensor, nn

from halfbyte.blocks.leaves import Patches, Relu
from halfbyte.errors import ConfigError
from halfbyte.ops.patches import KERNEL, STRIDE

_NUM_CONVOLUTIONS = {4: 2, 8: 3}


class PatchConv2d(nn.Module):
    """3 x 3 convolution of stride 2 without padding, and ReLU, as a linear layer over patches.

    Written so that a quantised layer gives each patch a scale of its own. With weight
    (N, 9·C) in the order (time, frequency, channel) this is the ReLU of `nn.Conv2d(C, N, 3, 2)`
    on channels-last tensors.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.patches = Patches()
        self.linear = nn.Linear(KERNEL * KERNEL * in_channels, out_channels)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")
        self.relu = Relu()

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, F, C) float32 -> (B, (T - 1) // 2, (F - 1) // 2, N) float32."""
        return self.relu(self.linear(self.patches(x)))


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
            x = convolution(x)
        return self.projection(x.flatten(2))
