"""What the device needs to know of a transducer (docs/model-file.md)."""

from typing import Any

from halfbyte.blocks.transducer_loss import BLANK
from halfbyte.families.family import Inputs
from halfbyte.families.streaming import streaming_metadata
from halfbyte.families.transducer.model import Transducer

MAX_SEGMENT_MS = 20000
MODES = ("beam", "greedy")  # the first is the default


def metadata(model: Transducer, inputs: Inputs) -> dict[str, Any]:
    """Streaming, tokens and decoding."""
    config = model.config
    return {
        "streaming": streaming_metadata(
            model,
            inputs,
            config.encoder.left_context,
            (config.shortest_chunk, config.dynamic_chunk),
            MAX_SEGMENT_MS,
        ),
        "tokens": inputs.vocabulary.tokens,
        "blank_id": BLANK,
        "decoding": {"modes": MODES, "beam": config.beam, "max_symbols": config.max_symbols},
    }
