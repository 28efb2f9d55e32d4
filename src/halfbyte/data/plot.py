"""The plot of `halfbyte prepare`: how long utterances are, and which characters texts hold."""

import io
import warnings
from functools import cache
from pathlib import Path

from halfbyte.data.report import Report
from halfbyte.files import write_whole

_MOST_CHARACTERS = 60  # the most frequent are shown: some scripts have thousands


def plot_report(report: Report, path: Path) -> None:
    """Write histograms of durations and characters of every split as PNG.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (durations, characters) = pyplot.subplots(2, 1, figsize=(10, 8))
    everything = [d for split in report.splits.values() for d in split.durations_s]
    ends_s = (min(everything), max(everything))
    for name, split in report.splits.items():
        label = f"{name}, {sum(split.durations_s) / 3600:.1f} h"
        durations.hist(split.durations_s, bins=50, range=ends_s, histtype="step", label=label)
    durations.set(xlabel="seconds", ylabel="utterances", title=report.source, yscale="log")
    durations.legend()
    total = sum((s.characters for s in report.splits.values()), start=type(split.characters)())
    shown = sorted(total.most_common(_MOST_CHARACTERS))
    characters.bar([_shown(c) for c, _ in shown], [count for _, count in shown])
    characters.tick_params("x", rotation=90 if any(not _has_glyph(c) for c, _ in shown) else 0)
    characters.set(ylabel="times in all texts", yscale="log")
    content = io.BytesIO()
    with warnings.catch_warnings():  # a name in the title may lack glyphs too
        warnings.filterwarnings("ignore", message="Glyph")
        figure.tight_layout()
        figure.savefig(content, format="png", dpi=100)
    pyplot.close(figure)
    write_whole(path, content.getvalue())


@cache
def _has_glyph(character: str) -> bool:
    """Whether matplotlib's font can draw it."""
    from matplotlib.font_manager import findfont, get_font

    return bool(get_font(findfont("DejaVu Sans")).get_char_index(ord(character)))


def _shown(character: str) -> str:
    """The character, or its code point where the font lacks it or would take it for markup."""
    is_shown = character.isprintable() and character != "$" and _has_glyph(character)
    return character if is_shown else f"U+{ord(character):04X}"
