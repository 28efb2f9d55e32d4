"""The metadata of the model of tones, with changes."""

import copy
from typing import Any

from paths import TONES

from halfbyte.engine import ModelFile

METADATA = ModelFile(TONES).metadata
MODES = METADATA["decoding"]["modes"]


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """With other values; paths are like `decoding.beam`, and KeyError takes a setting away."""
    metadata = copy.deepcopy(METADATA)
    for path, value in changes.items():
        *parents, key = path.split(".")
        section = metadata
        for parent in parents:
            section = section[parent]
        if value is KeyError:
            del section[key]
        else:
            section[key] = value
    return metadata
