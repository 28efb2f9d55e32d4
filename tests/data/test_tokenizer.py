"""Tokenizers: text to tokens and back, for each kind."""

import pytest

from halfbyte.data.tokenizer import (
    BLANK,
    BOUNDARY,
    UNKNOWN,
    TokenConfig,
    Tokenizer,
    train_tokenizer,
)
from halfbyte.errors import ConfigError

TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "pack my box with five dozen liquor jugs",
    "don't stop the fox",
    "",
] * 3
SIZES = {"bpe": 60, "unigram": 45, "characters": 5, "words": 5}


@pytest.mark.parametrize("kind", SIZES)
def test_text_comes_back(kind):
    tokenizer = train_tokenizer(TEXTS, TokenConfig(kind, SIZES[kind]))
    for text in TEXTS:
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", SIZES)
def test_blank_comes_first_and_the_boundary_last(kind):
    tokenizer = train_tokenizer(TEXTS, TokenConfig(kind, SIZES[kind]))
    assert tokenizer.tokens[:2] == [BLANK, UNKNOWN]
    assert tokenizer.tokens[-1] == BOUNDARY
    used = {i for text in TEXTS for i in tokenizer.encode(text)}
    assert 0 not in used
    assert len(tokenizer.tokens) - 1 not in used


def test_characters_take_what_the_text_has():
    few = train_tokenizer(TEXTS, TokenConfig("characters", 5))
    many = train_tokenizer(TEXTS, TokenConfig("characters", 500))
    assert few.tokens == many.tokens
    assert set("".join(TEXTS).replace(" ", "")) <= set(few.tokens)


def test_words_take_what_the_text_has():
    tokenizer = train_tokenizer(TEXTS, TokenConfig("words", 5))
    assert len(tokenizer.encode(TEXTS[0])) == len(TEXTS[0].split())
    assert tokenizer.encode("fox elephant")[1] == tokenizer.tokens.index(UNKNOWN)


def test_bpe_has_the_size_asked_for():
    assert len(train_tokenizer(TEXTS, TokenConfig("bpe", 60)).tokens) == 62


def test_unknown_characters_become_the_unknown_token():
    tokenizer = train_tokenizer(TEXTS, TokenConfig("characters"))
    assert tokenizer.tokens.index(UNKNOWN) in tokenizer.encode("fox 7")


def test_the_stored_model_gives_the_same_tokens():
    tokenizer = train_tokenizer(TEXTS, TokenConfig("bpe", 60))
    again = Tokenizer(tokenizer.content)
    assert again.tokens == tokenizer.tokens
    assert again.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])


@pytest.mark.parametrize(
    ("texts", "config", "said"),
    [
        (TEXTS, TokenConfig("letters", 60), "tokens.kind is 'letters'"),
        (TEXTS, TokenConfig("bpe", 5000), "tokens.size 5000 does not fit the text"),
        (TEXTS, TokenConfig("bpe", 5), "tokens.size 5 does not fit the text"),
        (["", " "], TokenConfig("bpe", 60), "no text to fit tokens on"),
    ],
)
def test_what_cannot_be_fitted_is_one_clear_line(texts, config, said):
    with pytest.raises(ConfigError) as caught:
        train_tokenizer(texts, config)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_tokenizer_is_a_mistake():
    with pytest.raises(ConfigError, match="damaged"):
        Tokenizer(b"no sentencepiece model")
