"""All attacks, one after the other, each for its share of the time."""

from pathlib import Path

from attack.files import attack, faces, write_talk
from attack.score import Score
from attack.server import attack_server


def attack_all(folder: Path, seconds: float, seed: int) -> list[Score]:
    """Scores of the server and of all faces that take files.

    Args:
        folder: for inputs, empty.
        seconds: in all.
        seed: of the random inputs; the same ones come again where the machine is as fast.
    """
    ways = faces(folder)
    share_s = seconds / (len(ways) + 1)
    scores = [attack_server(write_talk(folder / "said.wav"), share_s, seed)]
    for way in ways:
        scores.append(attack(way, folder / way.name.replace(" ", "-"), share_s, seed))
    return scores
