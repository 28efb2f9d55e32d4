"""What student and teacher hear, and that the loss counts steps of speech alone."""

import numpy as np
import torch

from halfbyte.blocks.masks import FULL_CONTEXT
from halfbyte.blocks.whisper import WhisperConfig, WhisperEncoder
from halfbyte.data.fbank import log_mel
from halfbyte.train.masked_distillation import (
    CHUNKS,
    STUDENTS_FEATURES,
    Lesson,
    Teacher,
    WhisperFeatures,
    draw_chunk,
    lesson,
    masked_loss,
)


def tiny_encoder(seed: int = 3) -> WhisperEncoder:
    torch.manual_seed(seed)
    sizes = {"width": 32, "num_heads": 2, "feed_forward": 48, "num_layers": 2}
    return WhisperEncoder(WhisperConfig(**sizes, left_context=8))


def noise(num_samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)


def test_device_and_whisper_hear_nearly_alike() -> None:
    # 512 points instead of 400: other bins fall under each filter, of the same energy.
    difference = log_mel(noise(16000), STUDENTS_FEATURES) - WhisperFeatures()(noise(16000))
    assert abs(float(difference.mean())) < 0.05
    assert float(difference.abs().mean()) < 0.3


def test_teacher_hears_nothing_far_below_the_loudest() -> None:
    samples = noise(16000)
    heard = Teacher(tiny_encoder()).hear(samples)
    silent = heard[-100:]
    assert len(heard) == 1 + (16000 + 32000 - 400) // 160
    assert torch.all(silent == heard.max() - 8 * np.log(10))


def test_a_lesson_keeps_lengths() -> None:
    clips = [(noise(16000, 1), noise(16000, 2)), (noise(8000, 3), noise(8000, 4))]
    made = lesson(clips, Teacher(tiny_encoder()))
    assert made.num_frames.tolist() == [98, 48]
    assert made.num_clean.tolist() == [298, 248]
    assert made.heard.shape == (2, 98, 80)
    assert made.clean.shape == (2, 298, 80)


def test_loss_is_zero_where_both_hear_and_see_the_same() -> None:
    features = torch.randn(2, 99, 80) * 3 - 9
    both = Lesson(features, torch.tensor([99, 51]), features, torch.tensor([99, 51]))
    teacher = Teacher(tiny_encoder())
    said = teacher.say(both)
    assert masked_loss(tiny_encoder(), said, both, FULL_CONTEXT).item() == 0
    assert masked_loss(tiny_encoder(), said, both, 4).item() > 0


def test_padding_does_not_count() -> None:
    features = torch.randn(2, 99, 80) * 3 - 9
    both = Lesson(features, torch.tensor([99, 51]), features, torch.tensor([99, 51]))
    said = Teacher(tiny_encoder()).say(both)
    expected = masked_loss(tiny_encoder(5), said, both, 4)
    said[1, 12:] = 1e6  # its steps are (51 - 3) // 4
    torch.testing.assert_close(masked_loss(tiny_encoder(5), said, both, 4), expected)


def test_chunks_follow_from_the_seed() -> None:
    drawn = [draw_chunk(np.random.default_rng(seed)) for seed in range(50)]
    assert drawn == [draw_chunk(np.random.default_rng(seed)) for seed in range(50)]
    assert set(drawn) == set(CHUNKS)
