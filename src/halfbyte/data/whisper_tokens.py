"""Whisper's vocabulary cut to what lower-case English needs, as a sentencepiece model.

Whisper cuts text with GPT-2's byte pairs: 50,257 tokens, most of them with capitals, digits or
other scripts. Kept are the tokens that a text in lower case uses most, with all that they are
merged from, so that every other word falls into kept parts. Byte pairs are sentencepiece's `bpe`
with scores that fall with the rank of a merge, so our tokenizer reads the result as it is.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from sentencepiece import sentencepiece_model_pb2 as proto
from torch import Tensor

from halfbyte.data.tokenizer import WORD_START
from halfbyte.errors import ConfigError

_SPACE = "Ġ"  # GPT-2's byte for a space
_LETTERS = "abcdefghijklmnopqrstuvwxyz'"
_NORMAL, _UNKNOWN = 1, 2  # types of a piece


@dataclass(frozen=True)
class Special:
    """Numbers of Whisper's tokens around a sentence: start, before its first word, end."""

    start: int
    before_words: int
    end: int


ENGLISH = Special(start=50257, before_words=50362, end=50256)  # of the models named .en


class BytePairs:
    """GPT-2's byte pairs over words of a–z and apostrophe.

    Args:
        path: Hugging Face's `tokenizer.json`.

    Raises:
        ConfigError: it is none.
    """

    def __init__(self, path: Path):
        try:
            model = json.loads(path.read_text(encoding="utf-8"))["model"]
            merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} is no tokenizer of byte pairs: {error}") from error
        self.ids: dict[str, int] = model["vocab"]
        self._ranks = {(left, right): rank for rank, (left, right) in enumerate(merges)}
        self._halves = {left + right: (left, right) for left, right in self._ranks}

    def encode(self, word: str) -> list[str]:
        """Tokens of a word that follows a space; an apostrophe begins a part of its own.

        >>> pairs.encode("don't")                                           # doctest: +SKIP
        ['Ġdon', "'t"]
        """
        parts = re.findall(r"'(?:s|t|re|ve|m|ll|d)|[ ]?[a-z]+|[ ]?'", f" {word}")
        return [token for part in parts for token in self._merged(part.replace(" ", _SPACE))]

    def _merged(self, part: str) -> list[str]:
        tokens = list(part)
        while len(tokens) > 1:
            pairs = list(pairwise(tokens))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            at = pairs.index(best)
            tokens[at : at + 2] = ["".join(best)]
        return tokens

    def rank(self, token: str) -> int:
        """When the token was merged; single letters come after all merges."""
        return self._ranks.get(self._halves.get(token, ("", "")), len(self._ranks))

    def ancestors(self, token: str) -> set[str]:
        """The token and all that it is merged from."""
        found, waiting = set(), [token]
        while waiting:
            token = waiting.pop()
            found.add(token)
            waiting += self._halves.get(token, ())
        return found


def words_of(lines: Iterable[str]) -> Counter[str]:
    """How often each word of a–z and apostrophe occurs, in lower case."""
    words: Counter[str] = Counter()
    for line in lines:
        words.update(re.findall(r"[a-z][a-z']*", line.lower()))
    return words


def cut_vocabulary(
    pairs: BytePairs, words: Counter[str], size: int, special: Special = ENGLISH
) -> tuple[bytes, Tensor]:
    """The tokens that these words use most.

    Args:
        size: of the vocabulary with the blank, the unknown token and the boundary; a little less
            where a token's parts would not fit.

    Returns:
        a sentencepiece model, and Whisper's number of each token of our `Tokenizer`, (V,) int64.
        The boundary is the token before the first word; where it ends a sentence, see
        `decoder_state`. The blank and the unknown token stand for none and have its number too.
    """
    uses: Counter[str] = Counter()
    for word, count in words.items():
        for token in pairs.encode(word):
            uses[token] += count
    kept = {_SPACE, *_LETTERS}
    for token, _ in uses.most_common():
        grown = kept | pairs.ancestors(token)
        if len(grown) <= size - 3:
            kept = grown
    pieces = sorted(kept, key=lambda token: (pairs.rank(token), token))
    other = special.before_words
    ids = [other, other, *(pairs.ids[token] for token in pieces), other]
    return _sentencepiece(pairs, pieces), torch.tensor(ids)


def _sentencepiece(pairs: BytePairs, pieces: list[str]) -> bytes:
    model = proto.ModelProto()  # type: ignore[attr-defined]
    model.trainer_spec.model_type = proto.TrainerSpec.BPE  # type: ignore[attr-defined]
    model.trainer_spec.vocab_size = len(pieces) + 1
    model.trainer_spec.bos_id = model.trainer_spec.eos_id = model.trainer_spec.pad_id = -1
    model.normalizer_spec.name = "identity"
    model.pieces.add(piece="<unk>", score=0.0, type=_UNKNOWN)
    for token in pieces:
        piece = token.replace(_SPACE, WORD_START)
        model.pieces.add(piece=piece, score=-float(pairs.rank(token)), type=_NORMAL)
    content: bytes = model.SerializeToString()
    return content
