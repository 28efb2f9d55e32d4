"""What was heard instead of what was said, for people."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from halfbyte.tables import aligned

NOTHING = "(nothing)"


def confusion_table(pairs: Iterable[tuple[str, str]], most_rows: int = 30) -> str:
    """A row for each text that was said: how often it was right, and what was heard instead.

    Texts with the most mistakes come first; of more than `most_rows` texts, the others are counted.

    Args:
        pairs: what was said and what was heard; empty where nothing was.

    >>> print(confusion_table([("go", "go"), ("go", "no"), ("go", "no"), ("stop", "stop")]))
    said  right  of  heard instead
    go        1   3           2×no
    stop      1   1
    """
    heard: dict[str, Counter[str]] = defaultdict(Counter)
    for said, text in pairs:
        heard[said or NOTHING][text or NOTHING] += 1
    mistakes = {said: texts.total() - texts[said] for said, texts in heard.items()}
    worst_first = sorted(heard, key=lambda said: (-mistakes[said], said))
    rows = [("said", "right", "of", "heard instead")]
    for said in worst_first[:most_rows]:
        texts = heard[said]
        instead = (f"{count}×{text}" for text, count in texts.most_common() if text != said)
        rows.append((said, str(texts[said]), str(texts.total()), ", ".join(instead)))
    left_out = worst_first[most_rows:]
    if not left_out:
        return aligned(rows)
    num_wrong = sum(mistakes[said] for said in left_out)
    return f"{aligned(rows)}\n… and {len(left_out)} more texts, with {num_wrong} mistakes"
