"""What every kind of score can do: counts that add up, and figures made of them."""

from typing import Protocol, Self


class Score(Protocol):
    """How well a model does, over one batch or many; scores add up with `+`."""

    def __add__(self, other: Self) -> Self:
        """Both together."""
        ...

    def counts(self) -> list[int]:
        """All that is counted; the sums of processes' counts are the counts of all."""
        ...

    @classmethod
    def of_counts(cls, counts: list[int]) -> Self:
        """The score with these counts."""
        ...

    def figures(self) -> dict[str, float]:
        """Rates by name, the one that matters most first."""
        ...
