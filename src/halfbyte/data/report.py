"""What `halfbyte prepare` found in a corpus: statistics, and what looks wrong."""

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from halfbyte.data.manifest import is_duration
from halfbyte.data.source import SourceUtterance
from halfbyte.errors import ManifestError
from halfbyte.tables import aligned

DURATION_EDGES_S = (0, 0.5, 1, 2, 3, 4, 6, 8, 10, 12, 15, 20, 25, 30, 60, 3600, 86400)
_FASTEST = 40  # characters a second; nobody speaks half as fast
_NUM_EXAMPLES = 10
_NUM_SKIPPED = 1000  # bad lines that a report names; all are counted

_COLUMNS = ("split", "hours", "utterances", "speakers", "shortest", "median", "longest")

WRONG_DURATION = "duration is not what the corpus claims"
EMPTY_TEXT = "empty text: nothing is said"
DIGITS = "digits in the text; write numbers as they are spoken"
CAPITALS = "capital letters in the text"
ODD_CHARACTERS = "other characters than expected in the text"
ID_IN_TWO_SPLITS = "id in two splits"
SPEAKERS_SHARED = "speaker in two splits; figures measured on the second are too good"
TOO_FAST = f"more than {_FASTEST} characters a second; is it the right text?"
NO_SPEAKER = "no speaker, so splits cannot be compared"


@dataclass
class SplitStatistics:
    """Figures of one split."""

    durations_s: list[float] = field(default_factory=list)
    speakers: set[str] = field(default_factory=set)
    characters: Counter[str] = field(default_factory=Counter)
    num_words: int = 0

    def summary(self) -> dict[str, Any]:
        """As they stand in report.json."""
        ordered = sorted(self.durations_s)
        return {
            "utterances": len(ordered),
            "hours": round(sum(ordered) / 3600, 4),
            "speakers": len(self.speakers),
            "words": self.num_words,
            "shortest_s": ordered[0],
            "median_s": ordered[len(ordered) // 2],
            "longest_s": ordered[-1],
            "durations": self.duration_histogram(),
            "characters": dict(sorted(self.characters.items())),
        }

    def duration_histogram(self) -> list[dict[str, float]]:
        """Utterances at least `from_s` and less than `to_s` long; empty ends are left out."""
        rows = [
            {
                "from_s": low,
                "to_s": high,
                "utterances": sum(low <= d < high for d in self.durations_s),
            }
            for low, high in pairwise(DURATION_EDGES_S)
        ]
        filled = [i for i, row in enumerate(rows) if row["utterances"]]
        return rows[filled[0] : filled[-1] + 1] if filled else []


@dataclass
class _Finding:
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Report:
    """Figures and findings of a whole corpus.

    Args:
        source: what was read.
        layout: the importer's name.
        characters: those that texts may hold besides the space; empty: letters and apostrophe.
    """

    def __init__(self, source: str, layout: str, characters: str = ""):
        self.source, self.layout = source, layout
        self.splits: dict[str, SplitStatistics] = {}
        self.findings: dict[str, _Finding] = {}
        self.skipped: list[str] = []
        self._characters = set(characters)
        self._splits_of_id: dict[str, list[str]] = {}

    @property
    def num_utterances(self) -> int:
        """Of all splits, without bad lines."""
        return sum(len(s.durations_s) for s in self.splits.values())

    def add(self, split: str, line: dict[str, Any], found: SourceUtterance) -> None:
        """Count an utterance by its manifest line and check it.

        Raises:
            ManifestError: its id is that of an earlier one of the split.
        """
        splits = self._splits_of_id.setdefault(line["id"], [])
        if split in splits:
            raise ManifestError(f"{found.where}: id {line['id']!r} is that of an earlier utterance")
        splits.append(split)
        if len(splits) > 1:
            self._find(ID_IN_TWO_SPLITS, f"{line['id']} ({', '.join(splits)})")
        statistics = self.splits.setdefault(split, SplitStatistics())
        statistics.durations_s.append(line["duration"])
        statistics.characters.update(line["text"].replace(" ", ""))
        statistics.num_words += len(line["text"].split())
        if line["speaker"]:
            statistics.speakers.add(line["speaker"])
        else:
            self._find(NO_SPEAKER, found.where)
        self._check_duration(line["duration"], found)
        self._check_text(line["text"], found.where)
        if len(line["text"]) > _FASTEST * line["duration"]:
            said = f"{line['id']}, {len(line['text'])} characters in {line['duration']:g} s"
            self._find(TOO_FAST, f"{found.where}: {said}")

    def _find(self, finding: str, example: str) -> None:
        found = self.findings.setdefault(finding, _Finding())
        found.count += 1
        if len(found.examples) < _NUM_EXAMPLES:
            found.examples.append(example)

    def _check_duration(self, measured_s: float, found: SourceUtterance) -> None:
        claimed_s = found.claimed_s
        if claimed_s is None:
            return
        if not is_duration(claimed_s, measured_s):
            self._find(WRONG_DURATION, f"{found.where}: {claimed_s:g} s, is {measured_s:g} s")

    def _check_text(self, text: str, where: str) -> None:
        letters = set(text) - {" "}
        odd = letters - self._characters if self._characters else set(filter(_is_odd, letters))
        kinds = {
            EMPTY_TEXT: not text,
            DIGITS: any(c.isdigit() for c in odd),
            CAPITALS: any(c.isupper() for c in odd),
            ODD_CHARACTERS: any(not c.isdigit() and not c.isupper() for c in odd),
        }
        for finding, is_so in kinds.items():
            if is_so:
                self._find(finding, f"{where}: {text!r}" if text else where)

    def check_speakers(self) -> None:
        """Find speakers that are in more than one split."""
        splits_of: dict[str, list[str]] = {}
        for name, statistics in self.splits.items():
            for speaker in statistics.speakers:
                splits_of.setdefault(speaker, []).append(name)
        for speaker, splits in sorted(splits_of.items()):
            if len(splits) > 1:
                self._find(SPEAKERS_SHARED, f"{speaker} ({', '.join(splits)})")

    def as_dict(self) -> dict[str, Any]:
        """The whole report, as report.json holds it."""
        return {
            "source": self.source,
            "format": self.layout,
            "splits": {name: s.summary() for name, s in self.splits.items()},
            "findings": {
                n: {"count": f.count, "examples": f.examples} for n, f in self.findings.items()
            },
            "bad_lines": {"count": len(self.skipped), "examples": self.skipped[:_NUM_SKIPPED]},
        }

    def as_json(self) -> str:
        """report.json."""
        return json.dumps(self.as_dict(), ensure_ascii=False, indent=1) + "\n"

    def as_text(self) -> str:
        """For people: a table of the splits, then what looks wrong."""
        rows: list[tuple[str, ...]] = [
            ("split", "hours", "utterances", "speakers", "shortest", "median", "longest")
        ]
        for name, statistics in self.splits.items():
            s = statistics.summary()
            times = (f"{s[key]:.2f} s" for key in ("shortest_s", "median_s", "longest_s"))
            rows.append(
                (name, f"{s['hours']:.2f}", str(s["utterances"]), str(s["speakers"]), *times)
            )
        lines = [f"{self.source}: {self.layout}", aligned(rows), ""]
        for name, finding in self.findings.items():
            lines += [f"{finding.count} × {name}", *(f"    {e}" for e in finding.examples[:3])]
        if self.skipped:
            lines += [
                f"{len(self.skipped)} bad lines left out",
                *(f"    {e}" for e in self.skipped[:3]),
            ]
        if not self.findings and not self.skipped:
            lines.append("nothing looks wrong")
        return "\n".join(lines) + "\n"


def _is_odd(character: str) -> bool:
    """Neither a lower-case letter of any script nor an apostrophe."""
    return character != "'" and (not character.isalpha() or character.isupper())
