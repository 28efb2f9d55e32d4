"""Post-training ranges: numbers of a hand, numpy's quantiles, and a search by brute force."""

import numpy as np
import pytest
import torch

from halfbyte.errors import ConfigError
from halfbyte.quant.observers import MeanSquare, MinMax, Percentile, Sample, observer_named


def test_minmax_by_hand():
    split = torch.tensor([[[7.0, -3.0]], [[1.0, -14.0]]])
    assert MinMax().scales(split, 4).tolist() == [[1.0], [2.0]]
    assert MinMax().range(torch.tensor([3.0, -2.0]), 8) == (-2.0, 3.0)


def test_percentile_equals_numpy():
    values = np.random.default_rng(0).normal(size=(3, 1, 1000)).astype(np.float32)
    scales = Percentile(99.0).scales(torch.from_numpy(values), 8)
    expected = np.quantile(np.abs(values), 0.99, axis=2) / 127
    np.testing.assert_allclose(scales, expected, rtol=1e-3)  # a scale is fp16
    low, high = Percentile(99.0).range(torch.from_numpy(values.ravel()), 8)
    assert (low, high) == pytest.approx(tuple(np.quantile(values, [0.01, 0.99])), rel=1e-4)


def test_percentile_by_hand():
    split = torch.tensor([[[7.0, -35.0, 21.0, -14.0, 28.0]]])
    # Three quarters of the way from the least of |x| to the largest is 28, which has code 7.
    assert Percentile(75.0).scales(split, 4).tolist() == [[4.0]]
    values = torch.tensor([0.0, 4.0, 1.0, 3.0, 2.0])
    assert Percentile(75.0).range(values, 8) == (1.0, 3.0)


def test_mse_by_hand():
    # All four have code 1 or -1 of 2 bits: 3 (2 - s)² + (6 - s)² is least at s = 3.
    split = torch.tensor([[[2.0, -2.0, 2.0, 6.0]]])
    assert MeanSquare().scales(split, 2).tolist() == [[3.0]]
    # The largest scale, 15 / 1.5, loses the ones: 3 + 5². With s < 2, to keep them, it were 13².
    assert MeanSquare().scales(torch.tensor([[[1.0, 1.0, 1.0, 15.0]]]), 2).tolist() == [[10.0]]


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_mse_is_no_worse_than_any_of_a_fine_search(bits):
    values = torch.randn(4, 1, 200, generator=torch.Generator().manual_seed(1))
    importance = torch.rand(200, generator=torch.Generator().manual_seed(2))
    scales = MeanSquare().scales(values, bits, importance)
    qmax = max(1, 2 ** (bits - 1) - 1)

    def error(scale: np.ndarray) -> np.ndarray:
        v = values[:, 0].numpy() / scale[:, None]
        codes = np.where(v >= 0, 1, -1) if bits == 1 else np.clip(np.rint(v), -qmax, qmax)
        difference = codes * scale[:, None] - values[:, 0].numpy()
        return (importance.numpy() * difference**2).sum(1)

    largest = values.abs().amax(2)[:, 0].numpy() / qmax
    best = np.min([error(largest * f) for f in np.linspace(0.02, 1, 400)], axis=0)
    assert (error(scales[:, 0].numpy()) <= best * 1.03).all()


def test_mse_clips_a_lone_outlier_and_minmax_does_not():
    values = torch.cat([torch.linspace(-1, 1, 2001), torch.tensor([3.0])])
    low, high = MeanSquare().range(values, 4)
    assert high < 2.6  # most of the 2000 others gain more than the one loses
    assert MinMax().range(values, 4) == (-1.0, 3.0)
    assert low < 0


def test_a_sample_keeps_extremes_and_mean_squares():
    sample = Sample()
    sample.add(torch.tensor([[[1.0, 2.0], [3.0, -50.0]]]))
    sample.add(torch.tensor([[5.0, 0.0]]))
    assert sample.num_rows == 3
    assert sample.values.aminmax() == (-50.0, 5.0)
    torch.testing.assert_close(sample.mean_squares, torch.tensor([35 / 3, 2504 / 3]))


def test_unknown_names_are_mistakes():
    with pytest.raises(ConfigError, match="'entropy'; expected one of minmax, percentile, mse"):
        observer_named("entropy")
    with pytest.raises(ConfigError, match="percentile is 12"):
        Percentile(12)
