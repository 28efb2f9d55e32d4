"""Word errors: alignment of a hypothesis with its reference."""

from dataclasses import dataclass

from halfbyte.scores.score import Score


@dataclass(frozen=True)
class Errors(Score):
    """Counts over one or many utterances; they add up with `+`."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    num_words: int = 0  # of the references
    num_utterances: int = 0
    num_right: int = 0  # utterances without an error

    def figures(self) -> dict[str, float]:
        """Word error rate, and the share of utterances without an error."""
        return {"wer": self.wer, "sentences_right": self.sentence_accuracy}

    @property
    def num_errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Word error rate, errors per reference word; errors themselves where no word is."""
        return self.num_errors / max(1, self.num_words)

    @property
    def sentence_accuracy(self) -> float:
        """Share of utterances without an error."""
        return self.num_right / max(1, self.num_utterances)


def count_errors(reference: str, hypothesis: str) -> Errors:
    """Errors of the cheapest alignment, each substitution, deletion and insertion costing 1.

    >>> count_errors("the cat sat", "a cat sat down")
    Errors(substitutions=1, deletions=0, insertions=1, num_words=3, num_utterances=1, num_right=0)
    """
    expected, heard = reference.split(), hypothesis.split()
    # A row holds (cost, substitutions, deletions, insertions) of aligning a prefix of each.
    row = [(j, 0, 0, j) for j in range(len(heard) + 1)]
    for i, word in enumerate(expected, 1):
        following = [(i, 0, i, 0)]
        for j, other in enumerate(heard, 1):
            if word == other:
                following.append(row[j - 1])
            else:
                following.append(
                    min(
                        _cost(row[j - 1], substitution=1),
                        _cost(row[j], deletion=1),
                        _cost(following[j - 1], insertion=1),
                    )
                )
        row = following
    cost, substitutions, deletions, insertions = row[-1]
    return Errors(substitutions, deletions, insertions, len(expected), 1, int(cost == 0))


def _cost(
    cell: tuple[int, int, int, int], substitution: int = 0, deletion: int = 0, insertion: int = 0
) -> tuple[int, int, int, int]:
    return (
        cell[0] + substitution + deletion + insertion,
        cell[1] + substitution,
        cell[2] + deletion,
        cell[3] + insertion,
    )
