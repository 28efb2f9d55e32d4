"""Text that only grows, out of partial results that may change."""


class Deltas:
    """What may be told of a growing text, each word once and never taken back.

    A word is told when two partial results in a row agree on it and on all before it, and another
    word follows it. Should a word that was told change after all, nothing more is told: who listens
    gets the settled text in the end.

    >>> deltas = Deltas()
    >>> [deltas.partial(text) for text in ("turn", "turn on", "turn on the light", "turn on the")]
    ['', 'turn', ' on', '']
    >>> deltas.final("turn on the light")
    ' the light'
    """

    def __init__(self) -> None:
        self._told: list[str] = []
        self._before: list[str] = []

    def partial(self, text: str) -> str:
        """What can be told after another partial result."""
        words = text.split()
        agreed = _num_common(words, self._before)
        self._before = words
        return self._tell(words[: min(agreed, len(words) - 1)])

    def final(self, text: str) -> str:
        """The rest of the settled text."""
        return self._tell(text.split())

    def _tell(self, words: list[str]) -> str:
        num_told = len(self._told)
        if len(words) <= num_told or words[:num_told] != self._told:
            return ""
        self._told = words
        return (" " if num_told else "") + " ".join(words[num_told:])


def _num_common(words: list[str], others: list[str]) -> int:
    """Length of the common beginning."""
    pairs = zip(words, others, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(words), len(others)))
