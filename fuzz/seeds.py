"""Seeds of the fuzzers: small valid inputs. `python fuzz/seeds.py FOLDER` writes FOLDER/TARGET/…"""

import io
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "engine")]

from onnx_graphs import compiled  # noqa: E402
from streaming_graph import streaming_model  # noqa: E402
from test_operators import CASES, case_model, quantized_model  # noqa: E402
from tones import recording  # noqa: E402

from halfbyte import Recognizer, _core  # noqa: E402
from halfbyte.engine import ModelFile  # noqa: E402

Seeds = dict[str, bytes]


def model_files(folder: Path) -> Seeds:
    return {"streaming": compiled(streaming_model(), folder, "encoder").path.read_bytes()}


def graphs(folder: Path) -> Seeds:
    """The graph section of a streaming model and of one model per operator."""
    models = {case: case_model(case)[0] for case in CASES}
    models["streaming"] = streaming_model()
    for bits, act_bits in ((4, 8), (8, 8), (4, 4)):
        attributes = {"weight_bits": bits, "activation_bits": act_bits}
        models[f"w{bits}a{act_bits}"] = quantized_model(
            "Linear", np.zeros((3, 8), np.float32), 8, 8, **attributes
        )
    opened = {name: compiled(model, folder) for name, model in models.items()}
    return {name: file.core.section("graph:graph") for name, file in opened.items()}


def metadata(_folder: Path) -> Seeds:
    return {"tones": ModelFile(ROOT / "tests" / "golden" / "tones.hb").core.section("meta")}


def wavs(_folder: Path) -> Seeds:
    subtypes = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]
    seeds = {}
    for container in ("WAV", "WAVEX", "RF64"):
        for subtype in subtypes:
            if soundfile.check_format(container, subtype):
                file = io.BytesIO()
                samples = np.sin(np.arange(60)).reshape(30, 2)
                soundfile.write(file, samples, 8000, format=container, subtype=subtype)
                seeds[f"{container}-{subtype}"] = file.getvalue()
    return seeds


def saved_states(_folder: Path) -> Seeds:
    samples = np.sin(np.arange(1000, dtype=np.float32))
    log_probs = np.float32([[-0.1, -3, -4], [-2, -0.2, -3]])
    parts = [
        _core.audio.Fbank(),
        _core.audio.Resampler(44100, 16000),
        _core.decode.CtcGreedy(0),
        _core.decode.CtcPrefixBeam(0, 4, 3),
    ]
    for part in parts[:2]:
        part.accept(samples)
    for part in parts[2:]:
        part.accept(log_probs)
    return {str(i): bytes([i]) + part.save() for i, part in enumerate(parts)}


def streams(_folder: Path) -> Seeds:
    """Saved streams of the options that fuzz_stream.cc has, early and within a word."""
    recognizer = Recognizer(ROOT / "tests" / "golden" / "tones.hb")
    sound = recording("low high")
    seeds = {}
    for choice in range(16):
        mode = ["greedy", "prefix_beam", "rescoring", "attention"][choice % 4]
        stream = recognizer.stream(
            mode=mode,
            chunk_ms=0 if choice & 4 else 120,
            sample_rate_hz=44100 if choice & 8 else 16000,
        )
        for num_samples in (3000, 7000):
            stream.accept(sound[:num_samples])
            frames, kept, is_finished, parts = stream.core.save()
            head = struct.pack("<BqqBB", choice, frames, kept, is_finished, len(parts))
            sized = [struct.pack("<I", len(part)) + part for part in parts]
            seeds[f"{choice}-{num_samples}"] = head + b"".join(sized)
    return seeds


SEEDS = {
    "fuzz_model_file": model_files,
    "fuzz_graph": graphs,
    "fuzz_metadata": metadata,
    "fuzz_wav": wavs,
    "fuzz_saved_state": saved_states,
    "fuzz_stream": streams,
}


def main() -> None:
    for target, make in SEEDS.items():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            for name, content in make(Path(scratch)).items():
                (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
