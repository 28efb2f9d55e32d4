"""The benchmark scripts run, on a model of tones; their numbers mean nothing."""

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest
from paths import ROOT, TONES

from halfbyte.errors import UsageError


@pytest.fixture(name="corpora")
def _corpora(tmp_path):
    """A folder of corpora with one test split: three recordings, one of them without words."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    with (folder / "test.jsonl").open("w") as manifest:
        for i, path in enumerate(sorted((ROOT / "tests" / "data").glob("*.wav"))):
            line = {"id": str(i), "audio_filepath": str(path), "duration": 2.0, "speaker": str(i)}
            manifest.write(json.dumps(line | {"text": "two words" if i else ""}) + "\n")
    return tmp_path


def run(script, *arguments, corpora=None):
    environment = {**os.environ, "HALFBYTE_DATA": str(corpora)}
    command = [sys.executable, str(ROOT / "bench" / script), *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)


def test_evaluation_gives_a_line_per_split_and_one_for_all(corpora):
    results = ROOT / "build" / "bench" / "trial.jsonl"
    before = len(results.read_text().splitlines()) if results.exists() else 0
    options = ["--again", "--limit", "3", "--mode", "greedy", "--chunk-ms", "0", "--workers", "2"]
    run("evaluate.py", f"w4a8={TONES}", *options, corpora=corpora)
    lines = [json.loads(text) for text in results.read_text().splitlines()[before:]]
    assert [line["split"] for line in lines] == ["corpus/test", "all"]
    for line in lines:
        assert (line["utterances"], line["words"], line["silent_utterances"]) == (2, 4, 1)
        assert line["wer_low"] <= line["wer"] <= line["wer_high"]
        assert 0 < line["rtf"] < 1
        assert line["peak_rss_bytes"] < 100e6  # neither numpy nor torch is there


def test_word_times_count_words_and_the_steps_that_they_cost(tmp_path):
    for corpus in ("wuw2", "librispeech_clean5"):
        folder = tmp_path / corpus
        folder.mkdir()
        line = {"audio_filepath": str(ROOT / "tests" / "data" / "wuw2_WUWII00000_001.wav")}
        line |= {"text": "operator", "keyword_start": 0.572, "keyword_end": 1.164}
        (folder / "test.jsonl").write_text(json.dumps(line) + "\n")
    model = str(ROOT / "src" / "halfbyte" / "assets" / "en-voice.hb")
    printed = run("word_times.py", model, "--trial", corpora=tmp_path).stdout
    lines = [json.loads(text) for text in printed.splitlines() if text.startswith("{")]
    assert len(lines) == 26
    for line in lines:
        assert line["alone_words"] == line["moved_words"] == 1
        assert line["alone_median_s"] <= 0.15
        assert (line["outside"], line["moved_wrong"]) == (0, 0)
        assert -0.01 <= line["steps_again"] < 0.6


@pytest.mark.parametrize("graph", ["encoder", "decoder"])
def test_times_of_operators_add_up(graph):
    printed = run("operators.py", str(TONES), "--graph", graph, "--trial", "--repeat", "3").stdout
    line = json.loads(printed.splitlines()[-1])
    operators = line["operators"].values()
    assert sum(o["share"] for o in operators) == pytest.approx(1, abs=0.01)
    assert any(name.startswith("Linear") for name in line["operators"])


def test_a_short_soak_loses_and_disturbs_nothing():
    audio = map(str, sorted((ROOT / "tests" / "data").glob("*.wav")))
    options = ["--minutes", "0.08", "--clients", "3", "--misbehaving", "4", "--trial"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(ROOT / "bench" / "soak_server.py"), *options, "--audio", *audio]
    result = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE)
    line = json.loads(result.stdout.splitlines()[-1])
    assert line["transcripts"] > 0
    assert line["works_again"]
    assert (line["differing"], line["breaks"]) == (0, 0)
    assert (line["complaints"], line["zombies"]) == (0, 0)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="NOT RUN: needs espeak-ng")
def test_synthetic_speech_is_made_of_seed_and_number():
    sys.path.insert(0, str(ROOT / "bench"))
    from synthetic_speech import Stream

    texts = ["This is A test, isn't it?", "forty-two words or so, none of them long"]
    stream, other = Stream(texts, seed=1), Stream(texts, seed=2)
    for number in (0, 5):
        first, again = stream.utterance(number), Stream(texts, seed=1).utterance(number)
        assert first.text == again.text == stream.text(number)
        assert (first.samples == again.samples).all()
        assert 0.3 * 16000 < len(first.samples) < 10 * 16000
        assert abs(first.samples).max() < 2
    sentences = {stream.text(n) for n in range(100)}
    assert len(sentences) > 60
    assert sentences != {other.text(n) for n in range(100)}


def test_synthetic_cells_resume_and_refuse_another_configuration(tmp_path):
    sys.path.insert(0, str(ROOT / "bench"))
    import synthetic

    bench = synthetic.read_bench(synthetic.CONFIG)
    assert [cell.name for cell in bench.cells()][:2] == ["float32/small/1", "w4a8/small/1"]
    path = tmp_path / "lines.jsonl"
    lines = [
        {"cell": cell.name, "configuration": dataclasses.asdict(bench), "loss": 2.0 - i / 10}
        | {"bytes": 1000 * 2**i, "number_format": cell.number_format, "seed": 1, "train_s": 1}
        | {"losses": [4.0, 6.0], "labels": [2, 3]}
        for i, cell in enumerate(bench.cells())
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = argparse.Namespace(only=[""], config=synthetic.CONFIG)
    assert synthetic.run(bench, options, path) == lines  # nothing is left to do
    synthetic.plot(bench, lines, tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size > 1000
    assert synthetic.at_equal_bytes(lines, lines[0]) is None  # smaller than any of the reference
    assert synthetic.at_equal_bytes(lines, lines[1]) == pytest.approx(0)
    with pytest.raises(UsageError, match=f"steps was {bench.steps} and is 5"):
        synthetic.run(dataclasses.replace(bench, steps=5), options, path)
