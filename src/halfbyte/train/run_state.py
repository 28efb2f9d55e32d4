"""Where a run stands: one file of tensors and plain values, which holds nothing that could run.

The position is stored as epochs and utterances done, which mean the same on any number of
processes.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from halfbyte.errors import ConfigError
from halfbyte.files import write_whole

LAST = "last.safetensors"
_FACTS = "run"  # key of the plain values, as JSON, among the file's metadata
_WEIGHT, _MOMENT = "weight.", "moment."


@dataclass(frozen=True)
class Position:
    """How far a run is: epochs done, and utterances done in the epoch after them."""

    epoch: int = 0
    utterances: int = 0


@dataclass(frozen=True)
class RunState:
    """All that a run needs to go on.

    Attributes:
        configuration: the whole one that the run was started with, as plain values.
        data: fingerprints of its corpora (train/corpora.py), by name.
        is_fresh: whether the model started from nothing.
        weights: of the model, by name.
        moments: of the optimiser, by its name for them and the parameter's (`exp_avg.head.bias`).
    """

    position: Position
    configuration: dict[str, Any]
    data: dict[str, list[Any]]
    is_fresh: bool
    weights: dict[str, Tensor]
    moments: dict[str, Tensor]

    def write(self, folder: Path) -> None:
        """Write it into the folder of the run, whole or not at all."""
        facts = {
            "position": asdict(self.position),
            "configuration": self.configuration,
            "data": self.data,
            "is_fresh": self.is_fresh,
        }
        tensors = {_WEIGHT + name: value.detach() for name, value in self.weights.items()}
        tensors |= {_MOMENT + name: value.detach() for name, value in self.moments.items()}
        contiguous = {name: value.contiguous() for name, value in tensors.items()}
        content = safetensors.torch.save(contiguous, {_FACTS: json.dumps(facts)})
        write_whole(folder / LAST, content)


def read_run_state(folder: Path) -> RunState | None:
    """Where the run of a folder stands; None where it has not begun.

    Raises:
        ConfigError: the file is damaged.
    """
    path = folder / LAST
    if not path.exists():
        return None
    tensors, metadata = read_tensors(path)
    try:
        facts = json.loads(metadata[_FACTS])
        position = Position(**facts["position"])
        configuration, data = facts["configuration"], facts["data"]
        is_fresh = bool(facts["is_fresh"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(_unreadable(path, f"{type(error).__name__} {error}")) from error
    counts = list(vars(position).values())
    if not all(type(n) is int and n >= 0 for n in counts):
        raise ConfigError(_unreadable(path, f"its position is {counts}"))
    if not isinstance(configuration, dict) or not isinstance(data, dict):
        raise ConfigError(_unreadable(path, "it lacks the configuration or the data"))
    parts = [
        {name.removeprefix(kind): v for name, v in tensors.items() if name.startswith(kind)}
        for kind in (_WEIGHT, _MOMENT)
    ]
    return RunState(position, configuration, data, is_fresh, *parts)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file of a run.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise ConfigError(_unreadable(path, str(error))) from error


def _unreadable(path: Path, reason: str) -> str:
    reason = " ".join(reason.split())
    return f"{path} is damaged ({reason}); move it away to begin the run anew"
