"""The engine on Arm CPUs that qemu emulates: every kernel, then whole utterances, to the last bit.

`make test-arm` builds what is run here: `engine_check` for this machine (build/c) and for AArch64
(build/arm). The expected bits are those of this machine, whose kernels tests/kernels holds against
the numpy reference.
"""

import os
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT, TONES
from tones import recording

NATIVE, ARM = (ROOT / "build" / name / "engine_check" for name in ("c", "arm"))
VOICE = ROOT / "src" / "halfbyte" / "assets" / "en-voice.hb"
INTEGER_ONLY = TONES.with_name("tones-integer.hb")
SPEECH = [*sorted((ROOT / "tests" / "data").glob("*.wav")), VOICE.parent / "demo.wav"]
NUM_UTTERANCES = 20
MADE = ("low mid high", "high low low")
CPUS = {
    "cortex-a53": "neon",
    "cortex-a76": "neondot",
    "max": "neoni8mm",
}  # and the best that it has
RUNS = [("cortex-a53", "portable"), *CPUS.items()]

pytestmark = pytest.mark.arm


def check(*words: object, cpu: str | None = None, isa: str = "") -> list[str]:
    """Lines of engine_check, on this machine or on an emulated CPU."""
    program = ["qemu-aarch64", "-cpu", cpu, ARM] if cpu else [NATIVE]
    done = subprocess.run(
        [*program, *map(str, words)],
        env=os.environ | {"HALFBYTE_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("cpu", CPUS)
def test_a_cpu_runs_what_it_has(cpu):
    known = ["portable", *CPUS.values()]
    assert check("isas", cpu=cpu) == known[: known.index(CPUS[cpu]) + 1]


@pytest.fixture(scope="module")
def digests() -> list[str]:
    return check("kernels", "portable")


@pytest.mark.parametrize(("cpu", "isa"), RUNS)
def test_every_kernel_gives_the_bits_of_the_reference(digests, cpu, isa):
    assert len(digests) > 40
    assert check("kernels", isa, cpu=cpu) == digests


def write_wav(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def read_wav(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (16000, 2, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


@pytest.fixture(scope="module")
def utterances(tmp_path_factory) -> dict[Path, list[Path]]:
    """Model -> recordings: speech of the repository, whole, halved and spliced; and made tones."""
    folder = tmp_path_factory.mktemp("utterances")
    recordings = [read_wav(path) for path in SPEECH]
    speech = list(SPEECH)
    for i, one in enumerate(recordings):
        speech.append(write_wav(folder / f"late{i}.wav", one[len(one) // 2 :]))
        for j, other in enumerate(recordings):
            if i != j:
                spliced = np.concatenate([one[len(one) // 2 :], other[: len(other) // 2]])
                speech.append(write_wav(folder / f"spliced{i}-{j}.wav", spliced))
    assert len(speech) == NUM_UTTERANCES
    made = [
        write_wav(folder / f"made{seed}.wav", recording(words, seed=seed))
        for seed, words in enumerate(MADE)
    ]
    return {VOICE: speech, TONES: made, INTEGER_ONLY: [*made, *speech]}


@pytest.mark.parametrize(("cpu", "isa"), RUNS)
@pytest.mark.parametrize("chunk_ms", [0, 320])
def test_encoder_outputs_and_words_of_twenty_utterances(utterances, chunk_ms, cpu, isa):
    words = []
    for model, paths in utterances.items():
        arguments = ("transcribe", model, "rescoring", chunk_ms, 1, *paths)
        expected = check(*arguments)
        assert check(*arguments, cpu=cpu, isa=isa) == expected
        words += [line for line in expected if "@" in line]
    assert len(words) > NUM_UTTERANCES // 2
