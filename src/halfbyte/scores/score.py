"""What every kind of score can do: counts that add up, and figures made of them."""

from abc import ABC, abstractmethod
from dataclasses import astuple, dataclass
from operator import add
from typing import Self


@dataclass(frozen=True)
class Score(ABC):
    """How well a model does, over one batch or many: its fields are counts, which add up."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*map(add, astuple(self), astuple(other)))

    @abstractmethod
    def figures(self) -> dict[str, float]:
        """Rates by name, the one that matters most first."""
