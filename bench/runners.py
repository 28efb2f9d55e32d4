"""The engine and its peers on the same model, behind one face."""

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from halfbyte.export.onnx_model import METADATA, graph_file
from halfbyte.listen.acoustic_model import AcousticModel
from halfbyte.listen.options import StreamOptions
from halfbyte.listen.recognizer import Recognizer
from halfbyte.measure.encoder_models import quantize_dynamically
from halfbyte.measure.evaluate import ONE_SEGMENT
from halfbyte.measure.other_models import CheckpointModel, OnnxModel

Floats = NDArray[np.float32]


@dataclass
class Runner:
    """A model run by something.

    Attributes:
        name: program and number format.
        model: how it is run.
        reference: name of the runner whose output it should give.
        metadata: of the model.
        is_timed: whether it is measured, or only referred to.
    """

    name: str
    model: AcousticModel
    reference: str
    metadata: dict[str, Any]
    is_timed: bool = True

    def encoder(self) -> Callable[[Floats], Any]:
        """A call that takes the next window (T, F) of a stream and gives its encoder output."""
        state = self.model.initial_state("encoder")

        def encode(window: Floats) -> Any:
            outputs = ["encoder_out", "ctc_log_probs"]
            return self.model.run("encoder", {"features": window[None]}, outputs, state)[0]

        return encode

    def chunk_call(self, windows: list[Floats]) -> Callable[[], object]:
        """A call that runs one chunk of a stream whose left context is filled."""
        encode = self.encoder()
        for window in windows:
            encode(window)
        turns = itertools.cycle(windows)
        return lambda: encode(next(turns))

    def file_call(self, samples: Floats, chunk_ms: int) -> Callable[[], object]:
        """A call that recognises the samples as one segment."""
        recognizer = Recognizer(self.model)

        def recognise() -> object:
            stream = recognizer.stream(StreamOptions(chunk_ms, "rescoring", ONE_SEGMENT))
            return stream.accept(samples) + stream.finish()

        return recognise


def open_runners(w4a8: Path, float32: Path, build: Path) -> list[Runner]:
    """The engine on both files, ONNX Runtime on the exported graphs, torch on the checkpoints.

    ONNX Runtime's int8 is its dynamic quantisation of the exported float32 graphs, made here.
    """
    torch.set_num_threads(1)
    int8 = int8_folder(float32 / "onnx", build / "onnxruntime-int8")
    metadata = json.loads((float32 / "onnx" / METADATA).read_text(encoding="utf-8"))

    def runner(name: str, model: AcousticModel, reference: str, is_timed: bool = True) -> Runner:
        return Runner(name, model, reference, metadata, is_timed)

    return [
        runner("halfbyte w4a8", Recognizer(w4a8 / "model.hb").model, "torch w4a8"),
        runner("halfbyte float32", Recognizer(float32 / "model.hb").model, "torch float32"),
        runner("onnxruntime float32", OnnxModel(float32 / "onnx"), "torch float32"),
        runner("onnxruntime int8", OnnxModel(int8), "torch float32"),
        runner("onnxruntime w4a8", OnnxModel(w4a8 / "onnx"), "torch w4a8"),
        runner("torch float32", CheckpointModel(float32 / "result"), "torch float32"),
        runner("torch w4a8", CheckpointModel(w4a8 / "result"), "torch w4a8", is_timed=False),
    ]


def int8_folder(source: Path, target: Path) -> Path:
    """Write ONNX Runtime's dynamic int8 version of an exported folder."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / METADATA, target / METADATA)
    for name in (graph_file("encoder"), graph_file("decoder")):
        quantize_dynamically(source / name, target / name)
    return target


def window_frames(metadata: dict[str, Any], chunk_ms: int) -> int:
    """Feature frames that one chunk reads."""
    overlap: int = metadata["streaming"]["overlap_frames"]
    return chunk_ms // metadata["features"]["frame_shift_ms"] + overlap
