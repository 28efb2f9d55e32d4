"""Memory and times of words over hours, and many streams in threads; with plots for the docs.

    python bench/long_audio.py --hours 4 --streams 64 -o docs

Audio is made while it is heard: a recording, then noise too soft to be speech, again and again.
"""

import argparse
import json
import resource
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from origin import origin

from halfbyte import Event, Recognizer, StreamOptions, finals
from halfbyte.audio_file import AudioFile

RATE_HZ = 16000
PERIOD_S = 12
Samples = NDArray[np.float32]


def period(recording: Path) -> Samples:
    """12 s: the recording, then soft noise."""
    noise = np.random.default_rng(1).standard_normal(PERIOD_S * RATE_HZ) * 1e-3
    samples = noise.astype(np.float32)
    spoken = np.concatenate([np.asarray(block) for block in AudioFile(recording)])
    samples[: len(spoken)] += spoken
    return samples


def rss_bytes() -> int:
    """Resident memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def listen(recognizer: Recognizer, repeated: Samples, minutes: float) -> Iterator[dict[str, Any]]:
    """Hears so many minutes; yields figures after each, with the first word of each period."""
    stream = recognizer.stream(StreamOptions(640))
    start_s = time.perf_counter()
    starts: dict[str, list[float]] = {}
    for number in range(round(minutes * 60 / PERIOD_S)):
        events = [e for part in np.split(repeated, 12) for e in stream.accept(part)]
        remember(events, starts)
        heard_s = (number + 1) * PERIOD_S
        if heard_s % 60 == 0:
            yield {
                "minute": heard_s // 60,
                "rss_bytes": rss_bytes(),
                "seconds": time.perf_counter() - start_s,
                "worst_drift_s": worst_drift_s(starts),
            }


def python_bytes(recognizer: Recognizer, repeated: Samples) -> tuple[int, int]:
    """Objects of the Python layer after one minute and after ten."""
    tracemalloc.start()
    traced = [tracemalloc.get_traced_memory()[0] for _ in listen(recognizer, repeated, 10)]
    tracemalloc.stop()
    return traced[0], traced[-1]


def remember(events: list[Event], starts: dict[str, list[float]]) -> None:
    """Notes where in its period each word began."""
    for event in finals(events):
        for word in event.words:
            starts.setdefault(word.text, []).append(word.start_s % PERIOD_S)


def worst_drift_s(starts: dict[str, list[float]]) -> float:
    """How far any word of the first minute has moved from where it then was."""
    drifts = [
        min(abs(at - first) for first in places[:5])
        for places in starts.values()
        for at in places[-5:]
    ]
    return max(drifts, default=0.0)


def many(recognizer: Recognizer, repeated: Samples, num_streams: int) -> dict[str, Any]:
    """Streams in threads of one process, each with audio of its own, beside the same ones alone."""

    def hear(number: int) -> list[Event]:
        stream = recognizer.stream(StreamOptions(640))
        samples = np.roll(repeated, number * 997)
        return [e for part in np.split(samples, 12) for e in stream.accept(part)] + stream.finish()

    alone = [hear(number) for number in range(num_streams)]
    start_s = time.perf_counter()
    with ThreadPoolExecutor(num_streams) as pool:
        together = list(pool.map(hear, range(num_streams)))
    return {
        "streams": num_streams,
        "equal": together == alone,
        "rtf": (time.perf_counter() - start_s) / (num_streams * PERIOD_S),
        "rss_bytes": rss_bytes(),
    }


def plot(minutes: list[dict[str, Any]], path: Path) -> None:
    """Memory and the worst drift of a word over the hours."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    hours = [m["minute"] / 60 for m in minutes]
    figure, (memory, drift) = pyplot.subplots(2, 1, figsize=(7, 4), sharex=True)
    memory.plot(hours, [m["rss_bytes"] / 1e6 for m in minutes])
    memory.set(ylabel="resident memory, MB", ylim=(0, None))
    drift.plot(hours, [m["worst_drift_s"] for m in minutes])
    drift.set(ylabel="drift of words, s", xlabel="hours of audio", ylim=(-0.1, 1))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=4)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--recording", type=Path, default=Path("src/halfbyte/assets/demo.wav"))
    parser.add_argument("-o", dest="folder", type=Path, help="folder of the plot")
    options = parser.parse_args()
    repeated = period(options.recording)
    recognizer = Recognizer()
    minutes = list(listen(recognizer, repeated, options.hours * 60))
    if options.folder:
        plot(minutes, options.folder / "long-audio.svg")
    result = {
        "kind": "long-audio",
        **origin(),
        "hours": options.hours,
        "rss_bytes_after_1_min": minutes[0]["rss_bytes"],
        "rss_bytes_at_end": minutes[-1]["rss_bytes"],
        "rss_bytes_most": max(m["rss_bytes"] for m in minutes),
        "python_bytes_after_1_and_10_min": python_bytes(recognizer, repeated),
        "worst_drift_s": max(m["worst_drift_s"] for m in minutes),
        "rtf": minutes[-1]["seconds"] / (options.hours * 3600),
        "many_streams": many(recognizer, repeated, options.streams),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
