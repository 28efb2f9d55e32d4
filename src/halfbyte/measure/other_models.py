"""A checkpoint and an ONNX folder as acoustic models, for comparison with the engine."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from halfbyte.errors import ModelFileError
from halfbyte.export.onnx_model import METADATA, describe, graph_file
from halfbyte.families.family import following_states
from halfbyte.listen.settings import read_settings
from halfbyte.train.checkpoint import family_of, load_checkpoint

Floats = NDArray[np.float32]
State = dict[str, Floats]


def _save(state: State) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **state)
    return file.getvalue()


def _restore(saved: bytes) -> State:
    return dict(np.load(io.BytesIO(saved)))


class CheckpointModel:
    """The training graph itself, run in torch.

    Args:
        folder: a checkpoint folder.
    """

    def __init__(self, folder: Path):
        config, vocabulary, model = load_checkpoint(folder)
        self._graphs = family_of(config).graphs(model)
        self.settings = read_settings(describe(config, model, vocabulary, {}))

    def initial_state(self) -> State:
        """State of a stream before its first chunk."""
        return {n: v.numpy() for n, v in self._graphs["encoder"].initial_states().items()}

    def encode(self, features: Any, state: State) -> tuple[Floats, Floats]:
        """One chunk: (T, F) in, (C, D) encoder output and (C, V) log-probabilities out."""
        window = torch.from_numpy(np.array(features, dtype=np.float32)[None])
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
        outputs = self._graphs["encoder"].run({"features": window}, tensors)
        state.update({name: v.numpy() for name, v in following_states(outputs).items()})
        return outputs["encoder_out"][0].numpy(), outputs["ctc_log_probs"][0].numpy()

    def decoder(self, memory: Any) -> Callable[[Any], Floats]:
        """The attention decoder over (T, D): (N, L) tokens in, (N, L, V) log-probabilities out."""
        rows = torch.from_numpy(np.array(memory, dtype=np.float32)[None])

        def decode(tokens: Any) -> Floats:
            inputs = {"tokens": torch.from_numpy(np.array(tokens)), "memory": rows}
            return self._graphs["decoder"].run(inputs)["log_probs"].numpy()

        return decode

    save_state = staticmethod(_save)
    restore_state = staticmethod(_restore)


class OnnxModel:
    """An exported folder, run by ONNX Runtime on one thread.

    Args:
        folder: holds encoder.onnx, decoder.onnx and model.json.

    Raises:
        ModelFileError: a file is missing or cannot be loaded.
    """

    def __init__(self, folder: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
            self._encoder, self._decoder = (
                onnxruntime.InferenceSession(folder / graph_file(name), options)
                for name in ("encoder", "decoder")
            )
        except Exception as error:  # ONNX Runtime's errors have no class in common but this one
            reason = " ".join(str(error).split())
            raise ModelFileError(
                f"{folder} is neither a checkpoint nor an ONNX folder: {reason}"
            ) from error
        self.settings = read_settings(metadata)
        self._outputs = [output.name for output in self._encoder.get_outputs()]

    def initial_state(self) -> State:
        """State of a stream before its first chunk: empty, the file holds the values."""
        return {}

    def encode(self, features: Any, state: State) -> tuple[Floats, Floats]:
        """One chunk: (T, F) in, (C, D) encoder output and (C, V) log-probabilities out."""
        window = np.array(features, dtype=np.float32)[None]
        values = self._encoder.run(self._outputs, {"features": window, **state})
        named = dict(zip(self._outputs, values, strict=True))
        state.update(following_states(named))
        return named["encoder_out"][0], named["ctc_log_probs"][0]

    def decoder(self, memory: Any) -> Callable[[Any], Floats]:
        """The attention decoder over (T, D): (N, L) tokens in, (N, L, V) log-probabilities out."""
        rows = np.array(memory, dtype=np.float32)[None]
        return lambda tokens: self._decoder.run(None, {"tokens": np.array(tokens), "memory": rows})[
            0
        ]

    save_state = staticmethod(_save)
    restore_state = staticmethod(_restore)
