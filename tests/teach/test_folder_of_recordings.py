"""How recordings are divided, and what cannot be taught."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from paths import ROOT
from train.corpus import RATE_HZ, tone

from halfbyte.data.manifest import read_manifest
from halfbyte.data.tokenizer import Tokenizer
from halfbyte.errors import UsageError
from halfbyte.teach.advice import ADVICE, settings_for
from halfbyte.teach.recordings import HELD_OUT, LEARN, Recordings, gather

TOKENIZER = ROOT / "tests" / "golden" / "tones-mixed" / "tokenizer.model"
HEAD = ("file", "text", "speaker", "split")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(TOKENIZER.read_bytes())


def write_table(folder: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    """A folder of recordings, one for each row, with words.csv."""
    folder.mkdir(exist_ok=True)
    samples = tone(300.0, np.random.default_rng(1))
    for name, *_ in rows:
        soundfile.write(folder / name, samples, RATE_HZ)
    with (folder / "words.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEAD, *rows])
    return folder


def rows(count: int, speakers: int = 0, texts: int = 2, split: str = "") -> list[tuple[str, ...]]:
    words = ("low", "high", "mid")[:texts]
    return [
        (f"{split}{i}.wav", words[i % texts], f"s{i % speakers}" if speakers else "", split)
        for i in range(count)
    ]


def test_speakers_are_held_out_whole(tmp_path, tokenizer):
    source = write_table(tmp_path / "in", rows(24, speakers=8))
    recordings = gather(source, tmp_path / "out", tokenizer)
    learn, held_out = (read_manifest(tmp_path / "out" / name) for name in (LEARN, HELD_OUT))
    assert (len(learn), len(held_out)) == (recordings.num_learn, recordings.num_held_out)
    assert len(learn) + len(held_out) == 24
    assert not {u.speaker for u in learn} & {u.speaker for u in held_out}
    assert "2 of the 8 speakers" in recordings.held_out


def test_some_of_each_text_are_held_out_where_speakers_are_few(tmp_path, tokenizer):
    source = write_table(tmp_path / "in", rows(36, texts=3))
    gather(source, tmp_path / "out", tokenizer)
    held_out = read_manifest(tmp_path / "out" / HELD_OUT)
    assert sorted(u.text for u in held_out) == ["high"] * 2 + ["low"] * 2 + ["mid"] * 2


@pytest.mark.parametrize(
    ("splits", "num_learn", "num_held_out"),
    [
        ({"train": 12, "test": 4}, 12, 4),
        ({"train": 12, "dev": 3}, 12, 3),
        ({"train": 12, "dev": 3, "test": 4}, 15, 4),
    ],
)
def test_the_splits_of_the_table_hold(tmp_path, tokenizer, splits, num_learn, num_held_out):
    table = [row for name, count in splits.items() for row in rows(count, split=name)]
    recordings = gather(write_table(tmp_path / "in", table), tmp_path / "out", tokenizer)
    assert (recordings.num_learn, recordings.num_held_out) == (num_learn, num_held_out)


def test_capital_letters_are_no_mistake(tmp_path, tokenizer):
    table = [(name, text.upper(), *rest) for name, text, *rest in rows(12)]
    gather(write_table(tmp_path / "in", table), tmp_path / "out", tokenizer)
    assert {u.text for u in read_manifest(tmp_path / "out" / LEARN)} == {"low", "high"}


def test_what_cannot_be_read_is_listed(tmp_path, tokenizer):
    source = write_table(tmp_path / "in", rows(14))
    (source / "3.wav").write_bytes(b"no audio")
    (source / "5.wav").unlink()
    recordings = gather(source, tmp_path / "out", tokenizer)
    assert recordings.num_learn + recordings.num_held_out == 12
    assert len(recordings.bad) == 2
    assert any("3.wav" in line for line in recordings.bad)
    assert any("5.wav" in line for line in recordings.bad)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows(1), "has 1 usable recording; teach needs 10"),
        (rows(9), "has 9 usable recordings; teach needs 10"),
        ([(name, "", "", "") for name, *_ in rows(12)], "all texts are empty"),
        ([(name, "low 2", "", "") for name, *_ in rows(12)], "numbers as words"),
    ],
)
def test_what_cannot_be_taught_is_said(tmp_path, tokenizer, table, message):
    with pytest.raises(UsageError, match=message):
        gather(write_table(tmp_path / "in", table), tmp_path / "out", tokenizer)


def test_what_cannot_be_read_is_named_where_too_few_are_left(tmp_path, tokenizer):
    source = write_table(tmp_path / "in", rows(10))
    (source / "3.wav").write_bytes(b"no audio")
    with pytest.raises(UsageError, match=r"9 usable recordings; .* 1 cannot be used, the .*3\.wav"):
        gather(source, tmp_path / "out", tokenizer)


def test_an_empty_folder_is_said(tmp_path, tokenizer):
    (tmp_path / "in").mkdir()
    with pytest.raises(UsageError, match="is empty; put recordings"):
        gather(tmp_path / "in", tmp_path / "out", tokenizer)


@pytest.mark.parametrize("count", [10, 100, 1000, 10_000])
def test_training_takes_about_the_advised_steps(count):
    recordings = Recordings(Path(), count, count // 5, "", 1.2 * count, [])
    settings = dict(word.split("=") for word in settings_for(recordings))
    steps = int(settings["loop.epochs"]) * 1.2 * count / float(settings["data.batch_s"])
    advised = next(advice for advice in ADVICE if count <= advice.up_to).num_steps
    assert 0.8 * advised < steps < 1.3 * advised
