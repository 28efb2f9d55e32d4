"""`halfbyte eval`: checkpoint, ONNX folder and model file by the same verb, with the same text."""

import json

import numpy as np
import pytest
import soundfile
from paths import TONES
from tones import recording, silence
from train.corpus import RATE_HZ

SENTENCES = ["low", "high mid", "mid mid low high", "low high", ""]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Five utterances, one of them with the wrong text and one of silence."""
    folder = tmp_path_factory.mktemp("manifest")
    lines = []
    for i, text in enumerate(SENTENCES):
        random = np.random.default_rng(i)
        samples = recording(text, 0.2, seed=i) if text else silence(2.0, random)
        soundfile.write(folder / f"{i}.wav", samples, RATE_HZ)
        said = "low low" if text == "low high" else text
        line = {"id": f"u{i}", "audio_filepath": f"{i}.wav", "text": said}
        lines.append(json.dumps(line | {"duration": len(samples) / RATE_HZ}) + "\n")
    (folder / "test.jsonl").write_text("".join(lines))
    return folder / "test.jsonl"


def evaluate(halfbyte, model, manifest, tmp_path, *words) -> tuple[dict, dict]:
    """Summary and transcripts."""
    written = tmp_path / "heard.jsonl"
    done = halfbyte("eval", model, manifest, "--json", "--transcripts", written, *words)
    assert (done.status, done.err, done.out.count("\n")) == (0, "", 1)
    lines = [json.loads(line) for line in written.read_text().splitlines()]
    return json.loads(done.out), {line["id"]: line["text"] for line in lines}


def test_figures_by_hand(halfbyte, manifest, tmp_path):
    summary, heard = evaluate(halfbyte, TONES, manifest, tmp_path)
    assert heard == {f"u{i}": text for i, text in enumerate(SENTENCES)}
    expected = {
        "model": str(TONES),
        "bytes": TONES.stat().st_size,
        "chunk_ms": 0,
        "mode": "rescoring",
        "utterances": 4,
        "words": 9,
        "wer": round(1 / 9, 5),
        "substitutions": 1,
        "deletions": 0,
        "insertions": 0,
        "sentence_accuracy": 0.75,
        "silent_utterances": 1,
        "false_words": 0,
    }
    assert {name: summary[name] for name in expected} == expected
    assert summary["audio_s"] == pytest.approx(9 * 0.7 + 4 * 0.3 + 2, abs=0.06)
    assert 0 < summary["rtf"] < 5
    assert summary["peak_rss_bytes"] > 1e6


@pytest.mark.parametrize("mode", ["rescoring", "greedy", "prefix_beam", "attention"])
@pytest.mark.parametrize("chunk_ms", [0, 160])
def test_three_forms_of_a_model_hear_the_same(halfbyte, mixed, manifest, tmp_path, mode, chunk_ms):
    words = ("--mode", mode, "--chunk-ms", chunk_ms)
    forms = (mixed.checkpoint, mixed.onnx_folder, mixed.model_file)
    results = [evaluate(halfbyte, model, manifest, tmp_path, *words) for model in forms]
    texts = [heard for _, heard in results]
    assert texts[0] == texts[1] == texts[2]
    assert len({summary["wer"] for summary, _ in results}) == 1
    if mode != "attention":  # which counts short words badly on its own
        assert texts[0] == {f"u{i}": text for i, text in enumerate(SENTENCES)}
    sizes = [summary["bytes"] for summary, _ in results]
    assert sizes == [_folder_bytes(form) for form in forms]


def _folder_bytes(path) -> int:
    files = [path] if path.is_file() else path.iterdir()
    return sum(file.stat().st_size for file in files)


def test_several_manifests_are_one(halfbyte, manifest, tmp_path):
    done = halfbyte("eval", TONES, manifest, manifest, "--json")
    assert json.loads(done.out)["words"] == 18


def test_a_table_for_people(halfbyte, manifest):
    done = halfbyte("eval", TONES, manifest)
    assert (done.status, done.err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert rows["sentence_accuracy"] == "0.75"
    assert rows["words"] == "9"


def test_transcripts_that_cannot_be_written(halfbyte, manifest, tmp_path):
    (tmp_path / "file").touch()
    done = halfbyte("eval", TONES, manifest, "--transcripts", tmp_path / "file" / "heard.jsonl")
    assert done.is_mistake()
    assert "file: " in done.err


def test_bad_lines_are_left_out_and_counted(halfbyte, manifest):
    bad = manifest.with_name("bad.jsonl")
    line = '{"audio_filepath": "gone.wav", "text": "low", "duration": 1}\n'
    bad.write_text(manifest.read_text() + line)
    done = halfbyte("eval", TONES, bad, "--json")
    assert done.is_mistake()
    assert "line 6: audio" in done.err
    summary = json.loads(halfbyte("eval", TONES, bad, "--json", "--skip-bad").out)
    assert (summary["bad_lines"], summary["words"]) == (1, 9)
