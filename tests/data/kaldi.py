"""Kaldi's filterbank, and how near to it another may be.

Tolerance: Kaldi computes in float32, so that its Fourier transform of a frame is right to a
rounding of its largest amplitude. A log energy may differ by 2e-4, and by 2^-23 times the ratio of
the largest amplitude of the frame to that of the filter.
"""

import kaldi_native_fbank as knf
import numpy as np
from data.sounds import RATE_HZ


def tolerance(expected: np.ndarray) -> np.ndarray:
    """How far each log energy (T, F) may be off."""
    largest = expected.max(axis=1, keepdims=True)
    return 2e-4 + 2.0**-23 * np.exp((largest - expected) / 2)


def kaldi_fbank(samples: np.ndarray, num_bins: int = 80) -> np.ndarray:
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = True
    options.frame_opts.samp_freq = RATE_HZ
    options.mel_opts.num_bins = num_bins
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(RATE_HZ, (samples * 32768).tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])
