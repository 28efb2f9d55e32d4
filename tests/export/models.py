"""Models that are exported once for all tests, and the three ways to run them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx_graphs import as_array

from halfbyte.data.tokenizer import TokenConfig, Tokenizer, train_tokenizer
from halfbyte.engine import ModelFile, Session
from halfbyte.export.onnx_model import compile_folder, export
from halfbyte.families.u2.model import U2
from halfbyte.train.checkpoint import build_model, load_checkpoint, save_checkpoint
from halfbyte.train.config import TrainConfig, load_config

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
Arrays = dict[str, np.ndarray]
ROOT = Path(__file__).parents[2]


@dataclass
class Exported:
    """A checkpoint, its ONNX folder and its model file."""

    checkpoint: Path
    onnx_folder: Path
    model_file: Path

    def __post_init__(self) -> None:
        self.config, _, self.model = load_checkpoint(self.checkpoint)
        self.file = ModelFile(self.model_file)
        self.encoder = onnx.load(self.onnx_folder / ENCODER)
        self.decoder = onnx.load(self.onnx_folder / DECODER)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # else it advises against inputs with default values
        self._sessions = {
            name: onnxruntime.InferenceSession(self.onnx_folder / name, options)
            for name in (ENCODER, DECODER)
        }

    def initial_states(self, batch: int = 1) -> Arrays:
        states = self.model.encoder.initial_state(batch)
        return {name: value.detach().numpy().copy() for name, value in states.items()}

    def features(self, num_steps: int, extra_frames: int, seed: int) -> np.ndarray:
        """(1, T, F) float32 that look like speech: T frames give `num_steps` encoder steps."""
        subsampling = self.model.encoder.subsampling
        num_frames = num_steps * subsampling.rate + subsampling.overlap_frames + extra_frames
        random = np.random.default_rng(seed)
        return random.normal(12.0, 3.0, (1, num_frames, 80)).astype(np.float32)

    def in_torch(self, features: np.ndarray, states: Arrays) -> Arrays:
        tensors = {name: torch.from_numpy(value) for name, value in states.items()}
        with torch.no_grad():
            encoded, log_probs, following = self.model.step(torch.from_numpy(features), tensors)
        outputs = {"encoder_out": encoded, "ctc_log_probs": log_probs}
        outputs |= {_next(name): value for name, value in following.items()}
        return {name: value.numpy() for name, value in outputs.items()}

    def in_onnx_runtime(self, features: np.ndarray, states: Arrays) -> Arrays:
        session = self._sessions[ENCODER]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {"features": features, **states}), strict=True))

    def in_engine(self, features: np.ndarray, states: Arrays) -> Arrays:
        outputs = Session(self.file, "encoder").run({"features": features, **states})
        return {name: as_array(tensor) for name, tensor in outputs.items()}

    def decoder_in_torch(self, tokens: np.ndarray, memory: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.model.decoder(torch.from_numpy(tokens), torch.from_numpy(memory)).numpy()

    def decoder_in_onnx_runtime(self, tokens: np.ndarray, memory: np.ndarray) -> np.ndarray:
        return self._sessions[DECODER].run(None, {"tokens": tokens, "memory": memory})[0]

    def decoder_in_engine(self, tokens: np.ndarray, memory: np.ndarray) -> np.ndarray:
        outputs = Session(self.file, "decoder").run({"tokens": tokens, "memory": memory})
        return as_array(outputs["log_probs"])


def following(outputs: Arrays) -> Arrays:
    """State inputs of the next step."""
    prefix = "next."
    return {
        f"state.{name.removeprefix(prefix)}": np.ascontiguousarray(value)
        for name, value in outputs.items()
        if name.startswith(prefix)
    }


def _next(name: str) -> str:
    return f"next.{name.removeprefix('state.')}"


def export_checkpoint(checkpoint: Path, folder: Path) -> Exported:
    """ONNX and model file of a checkpoint."""
    export(checkpoint, folder / "onnx", {"licence": "none"})
    compile_folder(folder / "onnx", folder / "model.hb")
    return Exported(checkpoint, folder / "onnx", folder / "model.hb")


def write_voice_checkpoint(folder: Path) -> Path:
    """A model of the size of recipes/en-voice with seeded random weights, none of them zero."""
    config = load_config(ROOT / "recipes" / "en-voice" / "config.yaml")
    tokenizer, model = random_model(config)
    save_checkpoint(folder, config, tokenizer, model.state_dict())
    return folder


def random_model(config: TrainConfig, num_pieces: int = 0) -> tuple[Tokenizer, U2]:
    """A tokenizer of made-up words and a model with seeded weights.

    Args:
        num_pieces: of the tokenizer; 0 for as many as are configured.

    Weights are as after training: a layer that starts at zero would be too easy, and too small a
    file.
    """
    tokenizer = made_up_tokenizer(num_pieces or config.tokens.size)
    torch.manual_seed(1)
    model = build_model(config, tokenizer)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
        else:
            torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.1)
    model.encoder.feature_norm.mean.normal_(12.0, 1.0)
    model.encoder.feature_norm.inverse_deviation.uniform_(0.2, 0.4)
    return tokenizer, model


def made_up_tokenizer(num_pieces: int) -> Tokenizer:
    """BPE pieces of random words."""
    random = np.random.default_rng(2)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    words = ["".join(random.choice(letters, size=random.integers(2, 8))) for _ in range(2000)]
    return train_tokenizer(words, TokenConfig("bpe", num_pieces))
