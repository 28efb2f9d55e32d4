"""What a spotter misses at a rate of false alarms; lines in bench/results/keywords.jsonl.

    python bench/keywords.py SCENES NAME=MODEL.hb... [--seed N] [--plot det.svg] [--trial]

SCENES is the folder that recipes/keyword/scenes.py writes. Thresholds are the lowest that keep the
rate in dev-others.jsonl; misses and alarms at them are those of test-words.jsonl and
test-others.jsonl. The best five keywords are those with the fewest misses on dev. One line for each
model, rate and keyword, and one for the best five and for all together, whose interval draws
speakers anew.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from origin import RESULTS, origin, table

from halfbyte.data.manifest import read_manifest
from halfbyte.listen.recognizer import Recognizer
from halfbyte.measure.detection import RATES, plot_curves, try_keywords
from halfbyte.progress import progress_bar
from halfbyte.scores.detections import Trials

NUM_BEST = 5
PARTS = ("dev", "test")


def trials_of(model: Path, scenes: Path, part: str) -> dict[str, Trials]:
    """What a model makes of a part."""
    recognizer = Recognizer(model)
    words, others = (
        read_manifest(scenes / f"{part}-{kind}.jsonl", None, "intervals")
        for kind in ("words", "others")
    )
    progress = try_keywords(recognizer, words, others)
    for _ in progress_bar([*words, *others], f"listening to {part}"):
        trials = next(progress)
    return trials


def together(trials: Mapping[str, Trials], thresholds: Mapping[str, float]) -> Trials:
    """Some keywords as one whose threshold is 0: scores are distances from their own."""
    words = [
        (speaker, score - thresholds[label])
        for label, one in trials.items()
        for speaker, score in one.words
    ]
    alarms = [score - thresholds[label] for label, one in trials.items() for score in one.alarms]
    return Trials(words, alarms, sum(one.hours for one in trials.values()) / len(trials))


def lines_of(dev: Mapping[str, Trials], test: Mapping[str, Trials]) -> list[dict[str, Any]]:
    """The result lines of a model, but for where they come from."""
    lines = []
    for rate in RATES:
        at = {label: one.threshold_at(rate) for label, one in dev.items()}
        order = sorted(dev, key=lambda label: dev[label].misses(at[label]))
        for label in order:
            figures = {"keyword": label, "threshold": at[label], "words": len(test[label].words)}
            lines.append({"rate": rate, **figures, **_measured(test[label], at[label])})
        for name, labels in (("best", order[:NUM_BEST]), ("all", order)):
            one = together({label: test[label] for label in labels}, at)
            figures = {"keyword": name, "keywords": sorted(labels), "words": len(one.words)}
            lines.append({"rate": rate, **figures, **_measured(one, 0.0, len(labels))})
    return lines


def _measured(trials: Trials, threshold: float, num_keywords: int = 1) -> dict[str, Any]:
    low, high = trials.misses_interval(threshold)
    return {
        "hours": round(trials.hours, 3),
        "misses": round(trials.misses(threshold), 5),
        "misses_low": round(low, 5),
        "misses_high": round(high, 5),
        "alarms_per_hour": round(trials.alarms_per_hour(threshold) / num_keywords, 4),
    }


def shown(lines: list[dict[str, Any]]) -> str:
    """The lines for people."""
    head = [
        "model",
        "alarms an hour on dev",
        "keyword",
        "words",
        "misses on test",
        "95 %",
        "alarms",
    ]
    rows = [
        [
            *(line["model"], f"{line['rate']:g}", line["keyword"], str(line["words"])),
            f"{100 * line['misses']:.1f} %",
            f"{100 * line['misses_low']:.1f} to {100 * line['misses_high']:.1f}",
            f"{line['alarms_per_hour']:.2f}",
        ]
        for line in lines
    ]
    return table(head, rows)


def main() -> None:
    """Measure all models that were named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path)
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL.hb")
    parser.add_argument("--seed", type=int, default=1, help="of the training")
    parser.add_argument("--plot", type=Path, help="curves of the last model on test")
    parser.add_argument("--trial", action="store_true", help="print lines, add none")
    options = parser.parse_args()
    for named in options.models:
        name, path = named.split("=", 1)
        dev, test = (trials_of(Path(path), options.scenes, part) for part in PARTS)
        facts = {"model": name, "seed": options.seed, "bytes": Path(path).stat().st_size}
        lines = [{**facts, **line, **origin()} for line in lines_of(dev, test)]
        print(shown(lines))
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        if options.trial:
            print(text, end="")
        else:
            with (RESULTS / "keywords.jsonl").open("a", encoding="utf-8") as file:
                file.write(text)
        if options.plot:
            plot_curves(test, options.plot)


if __name__ == "__main__":
    main()
