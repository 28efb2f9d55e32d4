"""A checkpoint folder: configuration, tokenizer and weights, all that later work starts from."""

from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from halfbyte.blocks.integer_encoder import make_integer
from halfbyte.data.tokenizer import Tokenizer
from halfbyte.errors import ConfigError
from halfbyte.families.u2.model import U2
from halfbyte.files import write_together
from halfbyte.quant.formats import LayerMap
from halfbyte.quant.lsq import LearnedStep
from halfbyte.quant.methods import Methods
from halfbyte.quant.native import make_native, native_layers
from halfbyte.train.config import TrainConfig, dump_config, load_config

CONFIG, TOKENIZER, WEIGHTS = "config.yaml", "tokenizer.model", "weights.safetensors"
ARITHMETICS = ("dynamic", "integer")


def build_model(config: TrainConfig, num_tokens: int) -> U2:
    """The model of a configuration with fresh weights, native where the configuration says."""
    model = U2(config.model, config.features.num_mel_bins, num_tokens)
    chosen = config.quantization
    methods = Methods(chosen.weights, chosen.activations, chosen.group)
    make_native(model, LayerMap(chosen.default, chosen.layers), methods)
    if chosen.arithmetic not in ARITHMETICS:
        raise ConfigError(
            f"quantization.arithmetic is {chosen.arithmetic!r}; expected {' or '.join(ARITHMETICS)}"
        )
    if chosen.arithmetic == "integer":
        if chosen.activations != "absmax":
            raise ConfigError(
                "quantization.arithmetic=integer has ranges of its own; "
                "leave quantization.activations at absmax"
            )
        make_integer(model)
    return model


def save_checkpoint(
    folder: Path,
    config: TrainConfig,
    tokenizer: Tokenizer,
    weights: dict[str, Tensor],
    half: bool = False,
) -> None:
    """Write a checkpoint folder.

    Args:
        half: store weights in fp16, for a checkpoint that training starts from again.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {name: value.detach().to(dtype).contiguous() for name, value in weights.items()}
    contents = {
        TOKENIZER: tokenizer.model,
        CONFIG: dump_config(config).encode(),
        WEIGHTS: safetensors.torch.save(tensors),
    }
    write_together(folder, contents)


def raise_if_no_checkpoint(folder: Path) -> None:
    """Refuse what is no checkpoint folder.

    Raises:
        ConfigError: a file is missing.
    """
    for name in (CONFIG, TOKENIZER, WEIGHTS):
        if not (folder / name).is_file():
            result = folder / "result"
            hint = f"; did you mean {result}?" if result.is_dir() else ""
            raise ConfigError(f"{folder} is no checkpoint: {name} is missing{hint}")


def load_checkpoint(folder: Path) -> tuple[TrainConfig, Tokenizer, U2]:
    """Read a checkpoint folder: configuration, tokenizer, model in evaluation mode.

    Raises:
        ConfigError: a file is missing, or the weights are not those of the configuration.
    """
    raise_if_no_checkpoint(folder)
    config = load_config(folder / CONFIG)
    tokenizer = Tokenizer((folder / TOKENIZER).read_bytes())
    model = build_model(config, len(tokenizer.tokens))
    load_weights(model, folder)
    return config, tokenizer, model.eval()


def load_weights(model: torch.nn.Module, folder: Path) -> None:
    """Load the weights of a checkpoint folder into a model of the same architecture.

    Number formats and methods may differ: scales that only the checkpoint has are left, those
    that only the model has start from its weights.

    Raises:
        ConfigError: names or shapes differ.
    """
    try:
        stored = safetensors.torch.load_file(folder / WEIGHTS)
    except (OSError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"cannot read {folder / WEIGHTS}: {reason}") from error
    weights = {name: value.float() for name, value in stored.items()}
    has = model.state_dict()
    fresh = {name for name in has.keys() - weights.keys() if _is_of_quantizer(name)}
    kept = {n: v for n, v in weights.items() if n in has or not _is_of_quantizer(n)}
    differences = _differences(kept, {n: v for n, v in has.items() if n not in fresh})
    if differences:
        more = f", and {len(differences) - 1} more differ" if len(differences) > 1 else ""
        raise ConfigError(
            f"{folder / WEIGHTS} does not fit the configuration: {differences[0]}{more}"
        )
    model.load_state_dict(kept | {name: has[name] for name in fresh})
    _start_steps(model, fresh)


def _differences(stored: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """What keeps weights from being loaded, in words."""
    shapes = [{n: list(v.shape) for n, v in weights.items()} for weights in (stored, wanted)]
    return [
        f"{name} is {shapes[0].get(name, 'not there')}, expected {shapes[1].get(name, 'nothing')}"
        for name in [*wanted, *(stored.keys() - wanted.keys())]
        if shapes[0].get(name) != shapes[1].get(name)
    ]


def _is_of_quantizer(name: str) -> bool:
    parts = (".weight_quantizer.", ".activation_quantizer.", "_range.")
    return any(part in name for part in parts)


def _start_steps(model: torch.nn.Module, fresh: set[str]) -> None:
    """Start learned steps of weights that have just been loaded."""
    for name, layer in native_layers(model).items():
        if f"{name}.weight_quantizer.step" in fresh:
            assert isinstance(layer.weight_quantizer, LearnedStep)
            layer.weight_quantizer.start(layer.weight.detach())
