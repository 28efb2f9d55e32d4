"""Where the training with texts begins: Whisper's decoder beside the encoder that streams.

    python recipes/en-voice/start.py MODEL_FOLDER ENCODER.safetensors TEXTS runs/start

MODEL_FOLDER holds Whisper tiny.en as CTranslate2 runs it, ENCODER is of distil.py. The vocabulary
is cut to what the texts (TEXTS/en_*.txt.xz) use most. Writes a checkpoint
folder for `halfbyte train --from`; its CTC head is new.
"""

import argparse
import lzma
from collections import Counter
from pathlib import Path

import torch
from safetensors.torch import load_file

from halfbyte.blocks.whisper_import import decoder_state, read_ctranslate2
from halfbyte.data.tokenizer import Tokenizer
from halfbyte.data.whisper_tokens import ENGLISH, BytePairs, cut_vocabulary, words_of
from halfbyte.train.checkpoint import build_model, save_checkpoint
from halfbyte.train.config import load_config

CONFIG = Path(__file__).parent / "whisper.yaml"
UNUSED = -20.0  # logit of the blank and the unknown token, which no text holds


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("whisper", type=Path)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("checkpoint", type=Path)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    config = load_config(CONFIG)
    words: Counter[str] = Counter()
    for path in sorted(options.texts.glob("en_*.txt.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            words.update(words_of(lines))
    pairs = BytePairs(options.whisper / "tokenizer.json")
    content, ids = cut_vocabulary(pairs, words, config.tokens.size)
    vocabulary = Tokenizer(content)
    model = build_model(config, vocabulary)
    model.encoder.load_state_dict({n: v.float() for n, v in load_file(options.encoder).items()})
    weights = read_ctranslate2(options.whisper / "model.bin")
    activation = config.model.decoder.activation
    state = decoder_state(weights, activation, ids, ENGLISH.start, ENGLISH.end)
    state["output.bias"][:2] = UNUSED
    model.decoder.load_state_dict(state)
    torch.nn.init.zeros_(model.ctc.project.weight)
    torch.nn.init.zeros_(model.ctc.project.bias)
    torch.nn.init.zeros_(model.ctc.output.bias)
    save_checkpoint(options.checkpoint, config, vocabulary, model.state_dict())
    print(f"{len(vocabulary.tokens)} tokens of {sum(words.values())} words: {options.checkpoint}")


if __name__ == "__main__":
    main()
