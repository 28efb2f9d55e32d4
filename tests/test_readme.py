"""The tables of README.md and docs/models.md are what bench/results gives."""

import json
import re
from array import array
from pathlib import Path

import pytest
from scripts import load_script

import halfbyte
from halfbyte.audio_file import AudioFile

ROOT = Path(__file__).parents[1]
RECORDING = ROOT / "src" / "halfbyte" / "assets" / "demo.wav"


tool = load_script("tools/readme_table.py")

LINE = {
    "model": "en-voice",
    "number_format": "w4a8",
    "bytes": 3_200_000,
    "float32_bytes": 16_000_000,
    "split": "wuw2/test",
    "wer": 0.1234,
    "wer_low": 0.1,
    "wer_high": 0.15,
    "sentence_accuracy": 0.9,
    "silent_utterances": 0,
    "false_words": 0,
    "chunk_ms": 640,
    "mode": "rescoring",
    "rtf": 0.0321,
    "peak_rss_bytes": 45_600_000,
    "machine": "a quiet machine",
    "commit": "0123456789abcdef",
    "seed": 1,
}


@pytest.mark.parametrize("page", tool.PAGES)
def test_the_page_shows_the_results(page):
    path = ROOT / page
    assert tool.render(ROOT)[path] == path.read_text(encoding="utf-8"), "run: make readme"


def test_the_model_on_the_servers_page_shows_the_results():
    path = ROOT / tool.CARD
    shown = path.read_text(encoding="utf-8")
    assert tool.render(ROOT)[path] == shown, "run: make readme"
    assert len(shown.splitlines()) == 24, "the shipped file has not been evaluated"


def test_the_card_holds_the_lines_of_the_shipped_file_only():
    shipped = {**LINE, "words": 10, "model_sha256": "a" * 64}
    other = {**shipped, "number_format": "float32", "model_sha256": "b" * 64, "wer": 0.5}
    greedy = {**shipped, "mode": "greedy"}
    assert tool.card([other, shipped, greedy], "a" * 64).count("\n") == 1
    assert '"wer": 0.1234' in tool.card([other, shipped, greedy], "a" * 64)


def test_the_keys_of_a_result_line_are_documented():
    page = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    documented = {
        key
        for cell in re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE)
        for key in re.findall(r"`(\w+)`", cell)
    }
    common = {"machine", "commit"}  # of every line, in the page's first paragraph
    assert documented | common >= LINE.keys()
    assert all(f"`{key}`" in page for key in common)


def test_result_lines_have_every_key():
    for line in tool.read_results(ROOT / tool.RESULTS):
        assert line.keys() >= LINE.keys()


class FileMicrophone(AudioFile):
    """A recording and a long pause in place of the microphone."""

    def __init__(self) -> None:
        super().__init__(RECORDING)

    def __iter__(self):
        yield from super().__iter__()
        yield array("f", bytes(4 * 2 * self.sample_rate_hz))

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_the_first_sentence_is_what_was_measured():
    said = re.search(r"(\d+) of 100 spoken commands", (ROOT / "README.md").read_text())
    lines = tool.read_results(ROOT / tool.RESULTS)
    table = tool.summary_table(lines)
    measured = re.search(r"commands and digits \| ([\d.]+) %", table)
    assert said
    assert measured
    assert int(said[1]) == round(float(measured[1]))


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/stream.md"])
def test_the_microphone_example_runs(page, capsys, monkeypatch):
    monkeypatch.setattr(halfbyte, "Microphone", FileMicrophone)
    code = (ROOT / page).read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    assert "halfbyte.Microphone()" in code
    exec(code, {})
    assert capsys.readouterr().out.strip()


def write(folder: Path, *lines: dict) -> Path:
    path = folder / "results.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_last_line_of_a_kind_counts(tmp_path):
    lines = tool.read_results(write(tmp_path, LINE, {**LINE, "wer": 0.5}))
    assert [line["wer"] for line in lines] == [0.5]


def test_the_summary_has_a_row_for_each_kind_of_speech_the_best_first(tmp_path):
    line = {**LINE, "utterances": 220, "sentence_accuracy": 0.5}
    better = {**line, "split": "speech_commands/test", "wer": 0.05, "sentence_accuracy": 0.95}
    others = [
        {**line, **other} for other in ({"chunk_ms": 0}, {"mode": "greedy"}, {"split": "all"})
    ]
    table = tool.summary_table(tool.read_results(write(tmp_path, line, better, *others)))
    _, _, first, second, _, origin = table.split("\n")
    assert first == "| single commands and digits | 95.0 % of 220 | 5.0 % |"
    assert second.endswith("inside sentences | 50.0 % of 220 | 12.3 % |")
    assert origin.startswith(
        "File 3.2 MB, memory at most 45.6 MB, a second of speech takes 32.1 ms"
    )
    assert origin.endswith("Measured on a quiet machine; commit 0123456.")


def test_the_full_table_has_a_row_per_line(tmp_path):
    table = tool.full_table(tool.read_results(write(tmp_path, LINE, {**LINE, "mode": "greedy"})))
    assert table.count("\n| en-voice") == 2


def test_the_speed_table_has_a_row_per_runner_of_the_newest_line():
    runner = {"median_ms": 0.5, "mad_ms": 0.01, "of_strongest_peer": 0.25}
    chunk = {"strongest_peer": "peer int8", "ours": runner}
    line = {
        "chunk": {"cold": {**chunk, "ours": {**runner, "median_ms": 0.75}}, "warm": chunk},
        "file": {"ours": {"median": 0.0015}},
        "start": {"first_word_s": 0.072},
        "isa": "avx2",
        "machine": "a quiet machine",
        "commit": "0123456789abcdef",
    }
    head, _, row, _, origin = tool.speed_table([{}, line]).split("\n")
    assert "warm, of peer int8" in head
    assert row == "| ours | 0.75 | 0.50 | 0.01 | 0.25 | 0.0015 |"
    assert origin.startswith("One thread, avx2; 0.07 s from a cold start to the first word.")


MEASURED = {"machine": "a quiet machine", "commit": "0123456789abcdef"}


def test_the_equality_table_shows_the_newest_line_of_each_level():
    beside = {"codes_flipped": 0.0027, "encoder_out_difference": 0.0247}
    model = {
        "level": "model",
        "engine": {**beside, "codes_flipped": 0.003},
        "ONNX Runtime": beside,
        "utterances": 60,
        "chunk_ms": 640,
        "codes": 1000,
        **MEASURED,
    }
    text = {
        "level": "text",
        "isa": "avx2",
        "engine avx2": {"texts_that_differ": 0, "same_encoder_bits": True},
        "ONNX Runtime": {"texts_that_differ": 7, "same_encoder_bits": False},
        "utterances": 90,
        "chunk_ms": 640,
        "mode": "greedy",
        **MEASURED,
    }
    older = {**model, "engine": beside}
    table = tool.equality_table([older, model, text])
    assert "| ONNX Runtime | 0.27 % | 0.025 |\n| engine | 0.30 % | 0.025 |" in table
    assert "| beside engine avx2 |" in table
    assert table.endswith("| ONNX Runtime | 7 | no |")


def test_threads_that_disagree_are_said():
    line = {
        "level": "engine",
        "splits": {"x/test": 3},
        "isas": ["avx2"],
        "thread_counts": [1, 2],
        "chunk_ms": 640,
        "mode": "greedy",
        "texts_that_differ": 1,
        "same_encoder_bits": False,
        **MEASURED,
    }
    assert "1 texts differ, encoder output differs" in tool.equality_table([line])


def test_the_table_of_words_shows_the_newest_line():
    line = {
        "epochs": 20,
        "train_cpu_s": 900,
        "bytes": 800_000,
        "sentence_accuracy": 0.95,
        "utterances": 1601,
        "false_words": 3,
        "silent_utterances": 105,
        "is_quiet": False,
        "corpus": "speech_commands",
        "machine": "a machine",
        "commit": "0123456789abcdef",
    }
    table = tool.words_table([{}, line])
    assert "| 20 | 15 min | 0.8 MB | 95.0 % of 1601 | 3 in 105 |" in table
    assert table.endswith("The machine did other work meanwhile.")


def test_without_results_the_page_says_so():
    tables = (
        tool.summary_table,
        tool.full_table,
        tool.speed_table,
        tool.equality_table,
        tool.words_table,
        tool.long_audio_table,
    )
    assert {table([]) for table in tables} == {"Not measured yet."}


def test_a_page_without_a_place_for_the_table_is_a_mistake():
    with pytest.raises(ValueError, match="results: summary"):
        tool.fill("no table here", "summary", "x")
