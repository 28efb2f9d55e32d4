"""Detections of a model beside the words that were said, and the curves that they make."""

import io
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from halfbyte.audio_file import AudioFile
from halfbyte.data.manifest import Interval, Utterance
from halfbyte.files import write_whole
from halfbyte.listen.events import Detection
from halfbyte.listen.options import StreamOptions
from halfbyte.listen.recognizer import Recognizer
from halfbyte.scores.detections import Trials, mean_misses_at

LATE_S = 0.5  # a detection counts for a word until so long after its end
RATES = (0.5, 2.0)  # false alarms an hour
_NOT_HEARD = -1.0


def try_keywords(
    recognizer: Recognizer, words: list[Utterance], others: list[Utterance]
) -> Iterator[dict[str, Trials]]:
    """Listen to every recording; yields what is known so far of each keyword, by name.

    Args:
        words: recordings whose intervals are words that should be found.
        others: recordings whose intervals excuse detections of their label and ask for none.
    """
    trials = {label: Trials() for label in recognizer.model.settings.labels}
    asks = chain(((one, True) for one in words), ((one, False) for one in others))
    for utterance, is_asked in asks:
        detections, duration_s = detections_of(recognizer, utterance.audio_path)
        for label, one in trials.items():
            own = [event for event in detections if event.label == label]
            places = [place for place in utterance.intervals if place.label == label]
            _count(one, own, places, utterance.speaker if is_asked else None)
            excused_s = sum(place.end_s - place.start_s + LATE_S for place in places)
            one.hours += max(0.0, duration_s - excused_s) / 3600
        yield trials


def detections_of(recognizer: Recognizer, path: Path) -> tuple[list[Detection], float]:
    """All detections in a recording, of any score, and its seconds."""
    file, settings = AudioFile(path), recognizer.model.settings
    chunk_ms = max(settings.chunk_choices_steps) * settings.step_ms  # all give the same
    options = StreamOptions(chunk_ms, sample_rate_hz=file.sample_rate_hz, min_score=0.0)
    stream = recognizer.stream(options)
    events, num_samples = [], 0
    for block in file:
        events += stream.accept(block)
        num_samples += len(block)
    events += stream.finish()
    found = [event for event in events if isinstance(event, Detection)]
    return found, num_samples / file.sample_rate_hz


def _count(
    trials: Trials, detections: list[Detection], places: list[Interval], speaker: str | None
) -> None:
    """Each word has the best detection in its place; detections in none are alarms."""
    best = [_NOT_HEARD] * len(places)
    for detection in detections:
        inside = [i for i, place in enumerate(places) if _is_in(place, detection.time_s)]
        for i in inside:
            best[i] = max(best[i], detection.score)
        if not inside:
            trials.alarms.append(detection.score)
    if speaker is not None:
        trials.words += [(speaker, score) for score in best]


def _is_in(place: Interval, time_s: float) -> bool:
    return place.start_s <= time_s <= place.end_s + LATE_S


def summary(trials: Mapping[str, Trials], thresholds: Mapping[str, float]) -> dict[str, Any]:
    """Misses at each alarm rate, and what the model's own thresholds give, of every keyword."""
    own = {label: _figures(one, thresholds[label]) for label, one in trials.items()}
    spoken = [one for one in trials.values() if one.words]
    means = {f"misses_at_{rate:g}": round(mean_misses_at(spoken, rate), 5) for rate in RATES}
    return {**means, "keywords": own}


def _figures(trials: Trials, threshold: float) -> dict[str, Any]:
    figures: dict[str, Any] = {"words": len(trials.words), "hours": round(trials.hours, 3)}
    figures["least_rate"] = round(3 / max(1e-9, trials.hours), 3)  # that can be claimed
    places = {f"at_{rate:g}": trials.threshold_at(rate) for rate in RATES} | {"own": threshold}
    for name, at in places.items():
        low, high = trials.misses_interval(at)
        figures[name] = {
            "threshold": at,
            "misses": round(trials.misses(at), 5),
            "interval": [round(low, 5), round(high, 5)],
            "alarms_per_hour": round(trials.alarms_per_hour(at), 4),
        }
    return figures


def plot_curves(trials: Mapping[str, Trials], path: Path) -> None:
    """Write the DET curve of every keyword as a picture; the suffix of the name is its format.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 6))
    for label, one in trials.items():
        points = one.curve()
        rates, misses = [rate for _, _, rate in points], [100 * miss for _, miss, _ in points]
        axes.step(rates, misses, where="post", label=label)
    axes.set(xlabel="false alarms an hour", ylabel="misses (%)", title="Detection error trade-off")
    axes.set_xscale("symlog", linthresh=0.1)
    axes.legend(ncols=2, fontsize="small")
    axes.grid(alpha=0.3)
    content = io.BytesIO()
    figure.tight_layout()
    figure.savefig(content, format=path.suffix.removeprefix(".") or "png", dpi=100)
    pyplot.close(figure)
    write_whole(path, content.getvalue())
