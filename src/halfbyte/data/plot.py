"""The plot of `halfbyte prepare`: how long utterances are, and which characters texts hold."""

import io
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
    for name, split in report.splits.items():
        label = f"{name}, {sum(split.durations_s) / 3600:.1f} h"
        durations.hist(split.durations_s, bins=50, histtype="step", label=label)
    durations.set(xlabel="seconds", ylabel="utterances", title=report.source, yscale="log")
    durations.legend()
    total = sum((s.characters for s in report.splits.values()), start=type(split.characters)())
    shown = sorted(total.most_common(_MOST_CHARACTERS))
    characters.bar([repr(c)[1:-1] for c, _ in shown], [count for _, count in shown])
    characters.set(ylabel="times in all texts", yscale="log")
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    pyplot.close(figure)
    write_whole(path, content.getvalue())
