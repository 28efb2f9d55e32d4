"""Engine on emulated Arm CPUs beside this machine: encoder outputs and words of whole utterances.

Needs qemu-aarch64 and the programs that `make c arm` builds.
"""

import array
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

from corpus import SAMPLE_RATE_HZ, Samples, Split, decode_split
from origin import ROOT

NATIVE, ARM = (ROOT / "build" / name / "engine_check" for name in ("c", "arm"))
CPUS = {"neon": "cortex-a53", "neondot": "cortex-a76", "neoni8mm": "max", "portable": "cortex-a53"}


def compare_on_arm(
    model: Path, splits: list[Split], mode: str, chunk_ms: int, folder: Path
) -> dict[str, int]:
    """Instruction set of an emulated CPU -> utterances whose bits or words are not those here.

    Raises:
        SystemExit: a program is missing.
    """
    missing = [str(path) for path in (NATIVE, ARM) if not path.is_file()]
    if missing or shutil.which("qemu-aarch64") is None:
        raise SystemExit(f"missing: {', '.join(missing) or 'qemu-aarch64'}; run make c arm")
    paths = [path for split in splits for path in _wave_files(split, folder)]
    words = ["transcribe", str(model), mode, str(chunk_ms), "1", *map(str, paths)]
    expected = _lines([str(NATIVE), *words], "")
    differing = {}
    for isa, cpu in CPUS.items():
        found = _lines(["qemu-aarch64", "-cpu", cpu, str(ARM), *words], isa)
        differing[isa] = sum(a != b for a, b in zip(found, expected, strict=True))
    return differing


def _lines(command: list[str], isa: str) -> list[str]:
    environment = os.environ | {"HALFBYTE_ISA": isa}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def _wave_files(split: Split, folder: Path) -> list[Path]:
    """Each utterance as 16-bit samples."""
    samples = Samples(decode_split(split, folder))
    target = folder / f"{split.file_name}-waves"
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, utterance in enumerate(split.utterances):
        values = (round(max(-1.0, min(1.0, x)) * 32767) for x in samples[utterance.id])
        whole = array.array("h", values)
        if sys.byteorder == "big":
            whole.byteswap()
        paths.append(target / f"{number}.wav")
        with wave.open(str(paths[-1]), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", "not compressed"))
            file.writeframes(whole.tobytes())
    return paths
