"""What the device needs to know of a U2 model (docs/model-file.md)."""

from typing import Any

from halfbyte.blocks.whisper_decoder import WhisperDecoder
from halfbyte.families.family import Inputs
from halfbyte.families.streaming import streaming_metadata
from halfbyte.families.u2.model import BLANK, U2

MAX_SEGMENT_MS = 20000
MODES = ("rescoring", "prefix_beam", "greedy", "attention")  # the first is the default
PRETRAINED_MODES = ("attention", "rescoring", "prefix_beam", "greedy")  # a decoder that knows more


def metadata(model: U2, inputs: Inputs) -> dict[str, Any]:
    """Streaming, tokens and decoding."""
    config, tokens = model.config, inputs.vocabulary.tokens
    is_whisper = isinstance(model.decoder, WhisperDecoder)
    step_ms = model.encoder.subsampling.rate * inputs.features.frame_shift_ms
    # A segment ends with the chunk that reaches its length, and room (100 ms) behind it.
    longest_steps = model.decoder.longest - config.dynamic_chunk - -(-100 // step_ms)
    return {
        "streaming": streaming_metadata(
            model,
            inputs,
            config.encoder.left_context,
            (config.shortest_chunk, config.dynamic_chunk),
            min(MAX_SEGMENT_MS, longest_steps * step_ms),
        ),
        "tokens": tokens,
        "blank_id": BLANK,
        "sos_id": len(tokens) - 1,
        "eos_id": len(tokens) - 1,
        "decoding": {
            "modes": PRETRAINED_MODES if is_whisper else MODES,
            "beam": 10,
            "ctc_weight": 0.5,
            **({"cache": "tokens"} if is_whisper else {}),
        },
    }
