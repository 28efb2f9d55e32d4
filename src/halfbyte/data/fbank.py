"""Kaldi log-mel filterbank, batched in torch for training.

The engine computes the same features in C++ (csrc/audio/fbank.cc); docs/features.md defines both.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

PREEMPHASIS = 0.97  # Kaldi
INT16_RANGE = 32768.0  # Kaldi's features see samples as 16-bit integers
LOWEST_ENERGY = 1.1920929e-07  # FLT_EPSILON, Kaldi's floor


@dataclass
class FeatureConfig:
    """Log-mel settings; docs/features.md."""

    sample_rate_hz: int = 16000
    num_mel_bins: int = 80
    frame_length_ms: int = 25
    frame_shift_ms: int = 10
    low_hz: int = 20
    high_hz: int = 0  # 0: half the sample rate

    @property
    def frame_length_samples(self) -> int:
        """Samples of a frame."""
        return self.sample_rate_hz * self.frame_length_ms // 1000

    @property
    def frame_shift_samples(self) -> int:
        """Samples from the start of a frame to the start of the next."""
        return self.sample_rate_hz * self.frame_shift_ms // 1000

    @property
    def fft_samples(self) -> int:
        """Points of the Fourier transform: the next power of two, frames are padded with zeros."""
        return 1 << (self.frame_length_samples - 1).bit_length()

    def num_frames(self, num_samples: int) -> int:
        """Frames that so many samples give; a frame lies wholly inside the samples."""
        spare = num_samples - self.frame_length_samples
        return 0 if spare < 0 else 1 + spare // self.frame_shift_samples


class Fbank(nn.Module):
    """Samples to log-mel frames.

    Per frame: remove the mean, pre-emphasise, Povey window, power spectrum, triangular mel
    filters, natural logarithm with a floor.

    Source: Kaldi's compute-fbank-feats without dither and energy.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: FeatureConfig):
        super().__init__()
        self.config = config
        n = config.frame_length_samples
        window = torch.hann_window(n, periodic=False, dtype=torch.float64).pow(0.85)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("filters", _mel_filters(config).float(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """samples: (B, S) float32 in [-1, 1) -> (B, T, F) float32."""
        config = self.config
        frames = (samples * INT16_RANGE).unfold(
            -1, config.frame_length_samples, config.frame_shift_samples
        )
        frames = frames - frames.mean(dim=-1, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames = (frames - PREEMPHASIS * before) * self.window
        spectrum = torch.fft.rfft(frames, config.fft_samples)
        power = spectrum.real.square() + spectrum.imag.square()
        energies = power[..., : config.fft_samples // 2] @ self.filters
        return energies.clamp_min(LOWEST_ENERGY).log()


def _mel(hz: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(hz / 700.0)


def _mel_filters(config: FeatureConfig) -> Tensor:
    """Triangular filters, (fft/2, F) float64; a filter's peak is 1 and it lies on the mel scale."""
    high_hz = config.high_hz or config.sample_rate_hz / 2
    edges = _mel(torch.tensor([config.low_hz, high_hz], dtype=torch.float64))
    spacing = (edges[1] - edges[0]) / (config.num_mel_bins + 1)
    left = edges[0] + spacing * torch.arange(config.num_mel_bins, dtype=torch.float64)
    bin_hz = config.sample_rate_hz / config.fft_samples
    mel = _mel(bin_hz * torch.arange(config.fft_samples // 2, dtype=torch.float64))[:, None]
    rising = (mel - left) / spacing
    falling = (left + 2 * spacing - mel) / spacing
    return torch.minimum(rising, falling).clamp_min(0)
