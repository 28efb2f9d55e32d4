"""Attacks by files: audio, model files, saved streams, tables of a corpus, ONNX folders."""

import contextlib
import io
import json
import random
import select
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from attack.score import Score, mutated
from hostile.audio import hostile_audio, odd_audio
from hostile.models import SECTIONS, hostile_models, with_sections
from paths import GOLDEN, TONES
from tones import recording

from halfbyte import Recognizer

_HANG_S = 60.0
_GOOD_EVERY = 25  # inputs


class Victim:
    """A process that runs verbs; it is started anew when it has died or hangs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, words: list[str]) -> tuple[str, str]:
        """`fine`, `crashes` or `hangs`, and what was printed."""
        if self._process is None:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            program = [sys.executable, str(Path(__file__).parent / "victim.py")]
            self._process = subprocess.Popen(program, **pipes)
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _HANG_S)[0]:
            self.end()
            return "hangs", ""
        answer = self._process.stdout.readline()
        if not answer:
            status = self._process.wait()
            self.end()
            return "crashes", f"the process ended with status {status}"
        status, out, err = json.loads(answer)
        is_one_line = status == 0 or (status == 2 and err.strip().count("\n") == 0 and err)
        return ("fine", out) if is_one_line else ("crashes", f"status {status}: {err}")

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@dataclass
class Face:
    """One way in.

    Attributes:
        name: of the row.
        words: of the call; PATH stands for the input, OUT for a place to write.
        good: an input that has a result.
        hostile: inputs that were made by hand, all of which are tried first if there is time.
        change: makes another input from the good one.
        file: of the input, where it is a folder.
    """

    name: str
    words: list[str]
    good: Path
    hostile: list[bytes]
    change: Callable[[bytes, random.Random], bytes] = mutated
    file: str = ""


def attack(face: Face, folder: Path, seconds: float, seed: int) -> Score:
    """Try inputs until the time is over."""
    score, chance, victim = Score(face.name), random.Random(seed), Victim()
    work = folder / "work"
    work.mkdir(parents=True)
    good = (face.good / face.file).read_bytes()
    by_hand = chance.sample(face.hostile, len(face.hostile))
    try:
        kind, expected = victim.run(_words(face, face.good, work))
        assert kind == "fine", expected
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            content = (
                by_hand.pop() if by_hand and chance.random() < 0.5 else face.change(good, chance)
            )
            kind, said = victim.run(_words(face, _placed(face, content, folder), work))
            score.inputs += 1
            if kind != "fine":
                score.note(kind, f"{said}; input {content[:200]!r}")
            if score.inputs % _GOOD_EVERY == 1:
                found = victim.run(_words(face, face.good, work))
                if found != ("fine", expected):
                    score.note("lost", found)
    finally:
        victim.end()
    return score


def _placed(face: Face, content: bytes, folder: Path) -> Path:
    """The input as a file, or in a copy of its folder."""
    path = folder / f"input{face.good.suffix}"
    if face.file:
        if not path.exists():
            shutil.copytree(face.good, path)
        (path / face.file).write_bytes(content)
    else:
        path.write_bytes(content)
    return path


def _words(face: Face, path: Path, work: Path) -> list[str]:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    known = {"PATH": str(path), "OUT": str(work / "out")}
    return [known.get(word, word) for word in face.words]


def _sealed(_: bytes, chance: random.Random) -> bytes:
    """A model file with a changed section under right checksums."""
    name = chance.choice(sorted(SECTIONS))
    return with_sections(**{name: mutated(SECTIONS[name], chance)})


def write_talk(path: Path) -> Path:
    """A recording for the model of tones."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        samples = np.asarray(recording("low high mid", pause_s=0.9))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def _saved(path: Path) -> Path:
    stream = Recognizer(TONES).stream()
    stream.accept(np.asarray(recording("low high mid", pause_s=0.9), np.float32)[:20000])
    path.write_bytes(stream.save())
    return path


def _corpus(folder: Path) -> Path:
    folder.mkdir()
    write_talk(folder / "a.wav")
    write_talk(folder / "b.wav")
    rows = ["audio,text,speaker", "a.wav,low high mid,one", 'b.wav,"low, high ""mid""",two']
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder


def _onnx(folder: Path) -> Path:
    from halfbyte.cli import main

    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["export", str(GOLDEN / "tones-mixed"), "-o", str(folder)]) == 0
    return folder


def faces(folder: Path) -> list[Face]:
    """All ways in by files; what they need is written to `folder`."""
    talk, tones = write_talk(folder / "talk.wav"), str(TONES)
    audio = [case.content for case in hostile_audio().values()] + list(odd_audio().values())
    models = [case.content for case in hostile_models().values()]
    onnx = _onnx(folder / "onnx")
    graph = next(path.name for path in onnx.glob("*.onnx"))
    return [
        Face("audio", ["transcribe", "PATH", "--model", tones], talk, audio),
        Face("model file", ["transcribe", str(talk), "--model", "PATH"], TONES, models, _sealed),
        Face("stream state", ["state", tones, "PATH"], _saved(folder / "state"), []),
        Face(
            "corpus table",
            ["prepare", "PATH", "-o", "OUT"],
            _corpus(folder / "corpus"),
            [],
            file="table.csv",
        ),
        Face("ONNX folder", ["compile", "PATH", "-o", "OUT"], onnx, [], file=graph),
    ]
