"""A cut vocabulary reads every word, and cuts as byte pairs do where all tokens are kept."""

import json
from collections import Counter
from pathlib import Path

import pytest

from halfbyte.data.tokenizer import BLANK, BOUNDARY, UNKNOWN, Tokenizer
from halfbyte.data.whisper_tokens import ENGLISH, BytePairs, cut_vocabulary, words_of
from halfbyte.errors import ConfigError

LETTERS = "abcdefghijklmnopqrstuvwxyz'Ġ"
MERGES = [
    "Ġ t",
    "h e",
    "Ġt he",
    "Ġ s",
    "o p",
    "Ġs t",
    "Ġst op",
    "' t",
    "Ġ d",
    "o n",
    "Ġd on",
    "i n",
]


@pytest.fixture
def pairs(tmp_path: Path) -> BytePairs:
    tokens = [*LETTERS, *(merge.replace(" ", "") for merge in MERGES)]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"model": {"vocab": vocabulary, "merges": MERGES}}))
    return BytePairs(path)


@pytest.mark.parametrize(
    ("word", "tokens"),
    [
        ("the", ["Ġthe"]),
        ("stop", ["Ġstop"]),
        ("don't", ["Ġdon", "'t"]),
        ("then", ["Ġthe", "n"]),
        ("o'clock", ["Ġ", "o", "'", *"clock"]),
    ],
)
def test_byte_pairs(pairs: BytePairs, word: str, tokens: list[str]) -> None:
    assert pairs.encode(word) == tokens


def test_whole_vocabulary_cuts_as_byte_pairs_do(pairs: BytePairs) -> None:
    words = Counter({"the": 5, "stop": 3, "don't": 2, "in": 1})
    content, ids = cut_vocabulary(pairs, words, 100)
    tokenizer = Tokenizer(content)
    assert tokenizer.tokens[:2] == [BLANK, UNKNOWN]
    assert tokenizer.tokens[-1] == BOUNDARY
    assert len(ids) == len(tokenizer.tokens)
    assert ids[-1] == ENGLISH.before_words
    for word in words:
        found = tokenizer.encode(word)
        assert [int(ids[i]) for i in found] == [pairs.ids[token] for token in pairs.encode(word)]
        assert tokenizer.decode(found) == word


def test_a_small_vocabulary_keeps_what_is_used_most_and_its_parts(pairs: BytePairs) -> None:
    words = Counter({"the": 5, "stop": 3})
    content, _ = cut_vocabulary(pairs, words, 3 + len(LETTERS) + 3)
    tokenizer = Tokenizer(content)
    assert set(tokenizer.tokens) - set(LETTERS) >= {"▁the", "▁t", "he"}
    assert "▁stop" not in tokenizer.tokens
    assert tokenizer.decode(tokenizer.encode("stop the zebra")) == "stop the zebra"


def test_words_of_text() -> None:
    assert words_of(["Stop, don't stop!", "42 O'Clock"]) == Counter(
        {"stop": 2, "don't": 1, "o'clock": 1}
    )


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": {"vocab": {}}}'])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ConfigError, match=r"tokenizer\.json is no tokenizer of byte pairs"):
        BytePairs(tmp_path / "tokenizer.json")
