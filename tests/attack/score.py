"""The scoreboard: what was tried on a face of the product, and what came of it."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Score:
    """Counts of one face; all but `inputs` should be zero.

    Attributes:
        face: what was attacked.
        inputs: tried.
        crashes: a process that died, a traceback, a status 500.
        hangs: no answer in time.
        lost: good inputs beside or after the attack that did not give their result.
        notes: the first bad inputs, to look at.
    """

    face: str
    inputs: int = 0
    crashes: int = 0
    hangs: int = 0
    lost: int = 0
    notes: list[str] = field(default_factory=list)

    def note(self, kind: str, what: object) -> None:
        """Count a bad outcome: crashes, hangs or lost."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.notes) < 5:
            self.notes.append(f"{self.face}: {kind}: {str(what)[:2000]}")

    @property
    def is_clean(self) -> bool:
        """Whether nothing bad came of it, and something was tried."""
        return self.inputs > 0 and self.crashes == self.hangs == self.lost == 0


def table(scores: Iterable[Score]) -> str:
    """The scoreboard."""
    lines = [f"{'face':<14}{'inputs':>8}{'crashes':>9}{'hangs':>7}{'lost results':>14}"]
    lines += [f"{s.face:<14}{s.inputs:>8}{s.crashes:>9}{s.hangs:>7}{s.lost:>14}" for s in scores]
    return "\n".join(lines)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A few random changes: bytes flipped, cut, doubled, inserted, numbers made extreme."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 4, 16])):
        at = chance.randrange(len(data) + 1)
        until = min(len(data), at + chance.choice([1, 2, 4, 8, 100, 10_000]))
        kind = chance.randrange(6)
        if kind == 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del data[at:until]
        elif kind == 2:
            data[at:at] = data[at:until]
        elif kind == 3:
            data[at:at] = chance.randbytes(chance.choice([1, 4, 40]))
        elif kind == 4:
            number = chance.choice(
                [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"999999"]
            )
            data[at : at + len(number)] = number
        else:
            del data[chance.randrange(len(data) + 1) :]
    return bytes(data)
