"""How a number of recordings is best learned from, and what to expect of it."""

from dataclasses import dataclass

from halfbyte.teach.recordings import Recordings

BATCH_S = (4.0, 20.0)  # shortest and longest batch
_BATCHES = 12  # an epoch at least, as far as the shortest batch allows
WARMUP_SHARE = 10  # one step in so many warms up


@dataclass(frozen=True)
class Advice:
    """What is known to work for up to so many recordings.

    Attributes:
        up_to: recordings.
        num_steps: of training.
        expect: what the user may expect, and what helps most.
    """

    up_to: float
    num_steps: int
    expect: str


ADVICE = (
    Advice(
        50,
        150,
        "enough to try it: the model learns these voices, not the words; record each word "
        "20 times or more, in the room where it will be used",
    ),
    Advice(
        500,
        300,
        "a model for the people who were recorded; for others, add speakers before recordings",
    ),
    Advice(
        5000,
        600,
        "a model for everybody, if dozens of people speak; add noises and other words with an "
        "empty text, or the model will hear its words in them",
    ),
    Advice(
        float("inf"),
        3000,
        "a model of its own: `halfbyte train` with a configuration of yours may now do better "
        "(docs/training.md)",
    ),
)


def advice_for(num_recordings: int) -> Advice:
    """The advice for a number of recordings."""
    return next(advice for advice in ADVICE if num_recordings <= advice.up_to)


def settings_for(recordings: Recordings) -> list[str]:
    """Training settings for these recordings, as `key=value` words."""
    num_steps = advice_for(recordings.num_learn).num_steps
    batch_s = min(max(recordings.learn_s / _BATCHES, BATCH_S[0]), BATCH_S[1])
    steps_per_epoch = max(1.0, recordings.learn_s / batch_s)
    epochs = max(3, round(num_steps / steps_per_epoch))
    return [
        f"data.batch_s={batch_s:.1f}",
        f"loop.epochs={epochs}",
        f"optimizer.warmup_steps={max(1, round(epochs * steps_per_epoch) // WARMUP_SHARE)}",
        "optimizer.peak_rate=8e-4",
    ]
