"""Text to tokens and back: sentencepiece pieces, characters or words."""

import io
from dataclasses import dataclass

import sentencepiece

from halfbyte.errors import ConfigError

BLANK, UNKNOWN, BOUNDARY = "<blank>", "<unk>", "<sos/eos>"
WORD_START = "▁"


@dataclass
class TokenConfig:
    """How text is cut into tokens."""

    kind: str = "bpe"  # bpe, unigram, characters or words
    size: int = 300  # pieces wanted; characters and words take what the text has


class Tokenizer:
    """Tokens of a model: the blank, sentencepiece's pieces from `<unk>` on, the boundary.

    Args:
        model: a serialised sentencepiece model.

    Raises:
        ConfigError: it is not one.
    """

    def __init__(self, model: bytes):
        self.content = model
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ConfigError("the tokenizer is damaged: no sentencepiece model") from error
        ids = range(self._pieces.get_piece_size())
        self.tokens = [BLANK, *(self._pieces.id_to_piece(i) for i in ids), BOUNDARY]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text; neither the blank nor the boundary is among them."""
        return [i + 1 for i in self._pieces.encode(text)]

    def decode(self, ids: list[int]) -> str:
        """Text of token ids."""
        return "".join(self.tokens[i] for i in ids).replace(WORD_START, " ").strip()


def train_tokenizer(texts: list[str], config: TokenConfig) -> Tokenizer:
    """Fit a tokenizer on the training texts.

    Raises:
        ConfigError: unknown kind, no text, or a size that the text does not give.
    """
    kinds = {"bpe": "bpe", "unigram": "unigram", "characters": "char", "words": "word"}
    if config.kind not in kinds:
        raise ConfigError(f"tokens.kind is {config.kind!r}; expected one of {', '.join(kinds)}")
    spoken = [t for t in texts if t.strip()]
    if not spoken:
        raise ConfigError("no text to fit tokens on; does data.train name manifests?")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(spoken),
            model_writer=model,
            model_type=kinds[config.kind],
            vocab_size=config.size,
            hard_vocab_limit=config.kind == "bpe",
            use_all_vocab=config.kind in ("characters", "words"),
            character_coverage=1.0,
            bos_id=-1,
            eos_id=-1,
            unk_id=0,
            minloglevel=2,
            num_threads=1,
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].rpartition("] ")[2]
        raise ConfigError(f"tokens.size {config.size} does not fit the text: {reason}") from error
    return Tokenizer(model.getvalue())
