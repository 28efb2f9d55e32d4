"""`halfbyte prepare`: checks, report, resuming, one clear line for a bad one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from data.corpora_on_disk import (
    RECORDINGS,
    duration_s,
    nemo_lines,
    write_csv,
    write_jsonl,
    write_wenet_shards,
)
from data.sounds import RATE_HZ, loudest_hz, tone

from halfbyte.cli import main
from halfbyte.cli.prepare import FORMATS
from halfbyte.data import report as findings
from halfbyte.data.audio import read_utterance
from halfbyte.data.importers import AUTO, IMPORTERS, choose_importer
from halfbyte.data.manifest import read_manifest
from halfbyte.data.prepare import PrepareOptions, prepare
from halfbyte.data.report import Report
from halfbyte.errors import ManifestError, UsageError

FIRST = nemo_lines()[0]


def prepared(source: Path, folder: Path, **options) -> Report:
    return prepare(source, folder, choose_importer(source), PrepareOptions(**options))


def counts(report: Report) -> dict[str, int]:
    return {name: finding["count"] for name, finding in report.as_dict()["findings"].items()}


def test_the_help_lists_the_importers():
    assert (AUTO, *IMPORTERS) == FORMATS


def test_findings_in_texts_speakers_ids_and_durations(tmp_path):
    train = [
        FIRST,
        {**FIRST, "id": "capital", "text": "In being"},
        {**FIRST, "id": "digit", "text": "in 1 being"},
        {**FIRST, "id": "odd", "text": "in, being"},
        {**FIRST, "id": "empty", "text": ""},
        {**FIRST, "id": "long", "duration": 9.0},
        {**FIRST, "id": "nobody", "speaker": ""},
    ]
    write_jsonl(tmp_path / "in" / "train.jsonl", train)
    write_jsonl(tmp_path / "in" / "dev.jsonl", [FIRST])
    report = prepared(tmp_path / "in", tmp_path / "out")
    assert counts(report) == {
        findings.CAPITALS: 1,
        findings.DIGITS: 1,
        findings.ODD_CHARACTERS: 1,
        findings.EMPTY_TEXT: 1,
        findings.WRONG_DURATION: 1,
        findings.NO_SPEAKER: 1,
        findings.ID_IN_TWO_SPLITS: 1,
        findings.SPEAKERS_SHARED: 1,
    }
    text = report.as_text()
    assert "train.jsonl line 6: 9 s, is 1.8996 s" in text
    assert "linda (dev, train)" in text
    measured = {u.id: u.duration_s for u in read_manifest(tmp_path / "out" / "train.jsonl")}
    assert measured["long"] == pytest.approx(duration_s("lj"), abs=1e-4)


def test_a_set_of_characters_makes_all_others_odd(tmp_path):
    lines = [{**FIRST, "id": str(i), "text": t} for i, t in enumerate(["abba", "abc", "a7B"])]
    write_jsonl(tmp_path / "in" / "train.jsonl", lines)
    found = counts(prepared(tmp_path / "in", tmp_path / "out", characters="ab7B"))
    assert found == {findings.ODD_CHARACTERS: 1}


def test_lower_case_and_single_spaces(tmp_path):
    write_jsonl(tmp_path / "in" / "train.jsonl", [{**FIRST, "text": "  Ä  WORD \t"}])
    report = prepared(tmp_path / "in", tmp_path / "out", lower_case=True)
    assert [u.text for u in read_manifest(tmp_path / "out" / "train.jsonl")] == ["ä word"]
    assert counts(report) == {}
    assert "nothing looks wrong" in report.as_text()


def test_statistics(tmp_path):
    write_jsonl(tmp_path / "in" / "train.jsonl", nemo_lines())
    summary = prepared(tmp_path / "in", tmp_path / "out").as_dict()["splits"]["train"]
    total_s = sum(map(duration_s, RECORDINGS))
    assert summary["utterances"] == summary["speakers"] == 3
    assert summary["hours"] == pytest.approx(total_s / 3600, abs=1e-4)
    assert summary["words"] == 4 + 2 + 1
    assert summary["longest_s"] == pytest.approx(max(map(duration_s, RECORDINGS)), abs=1e-4)
    assert sum(row["utterances"] for row in summary["durations"]) == 3
    letters = "".join(text for _, text, _ in RECORDINGS.values())
    assert summary["characters"]["o"] == letters.count("o")


def bad_audio(folder: Path) -> dict[str, bytes]:
    """Files that are no recordings, by what the message says of them."""
    wav = RECORDINGS["lj"][0].read_bytes()
    content = folder / "whole.flac"
    soundfile.write(content, np.tile(tone(300, 1.0), 20), RATE_HZ)
    return {
        "is missing": b"",
        "cannot read audio": b"these are words",
        "holds no samples": wav[:44],
        "audio": content.read_bytes()[:20000],
    }


@pytest.mark.parametrize("said", ["is missing", "cannot read audio", "holds no samples", "audio"])
def test_bad_audio_is_named_or_skipped(tmp_path, said):
    content = bad_audio(tmp_path)[said]
    bad = tmp_path / "in" / "bad.wav"
    bad.parent.mkdir()
    if content:
        bad.write_bytes(content)
    lines = [FIRST, {**FIRST, "audio_filepath": "bad.wav"}]
    write_jsonl(tmp_path / "in" / "train.jsonl", lines)
    with pytest.raises(ManifestError) as caught:
        prepared(tmp_path / "in", tmp_path / "out")
    message = str(caught.value)
    assert "train.jsonl line 2" in message
    assert said in message
    assert "bad.wav" in message
    assert not (tmp_path / "out" / "train.jsonl").exists()
    report = prepared(tmp_path / "in", tmp_path / "out", skip_bad=True)
    assert len(read_manifest(tmp_path / "out" / "train.jsonl")) == 1
    assert report.as_dict()["bad_lines"] == {"count": 1, "examples": [message]}


def test_an_id_twice_in_a_split_is_a_bad_line(tmp_path):
    write_jsonl(tmp_path / "in" / "train.jsonl", [FIRST, FIRST])
    with pytest.raises(ManifestError, match=r"train\.jsonl line 2: id 'ljspeech_LJ001-0002' is"):
        prepared(tmp_path / "in", tmp_path / "out")


def test_a_channel_stays_with_its_utterance(tmp_path):
    two = np.stack([tone(500, 0.5), tone(2000, 0.5)], 1)
    soundfile.write(tmp_path / "two.wav", two, RATE_HZ)
    line = {"audio_filepath": "two.wav", "text": "hello", "duration": 0.5}
    lines = [
        {**line, "id": "whole", "channel": 2},
        {**line, "id": "part", "channel": 2, "offset": 0.1, "duration": 0.3},
        {**line, "id": "third", "channel": 3},
        {**line, "id": "left", "channel": "left"},
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    source, folder = tmp_path / "m.jsonl", tmp_path / "out"
    importer = choose_importer(source, AUTO)
    report = prepare(source, folder, importer, PrepareOptions(skip_bad=True))
    whole, part = read_manifest(folder / "m.jsonl")
    assert (whole.channel, part.channel) == (2, None)
    assert round(loudest_hz(read_utterance(part, RATE_HZ))) == 2000
    assert [said.split(": ", 1)[1] for said in report.skipped] == [
        f"{tmp_path}/two.wav: channel 3 is not there; it has 2 (the first is 1)",
        "channel is 'left'; expected a whole number, from 1",
    ]


def test_nothing_but_bad_lines_is_a_mistake(tmp_path):
    write_jsonl(tmp_path / "in" / "train.jsonl", [{"audio_filepath": "gone.wav"}])
    with pytest.raises(ManifestError, match=r"1 bad lines; the first: .*'text' is missing"):
        prepared(tmp_path / "in", tmp_path / "out", skip_bad=True)


def test_the_source_is_never_overwritten(tmp_path):
    source = write_jsonl(tmp_path / "train.jsonl", nemo_lines())
    before = source.read_bytes()
    for place in (source, tmp_path):
        with pytest.raises(UsageError, match="choose another folder"):
            prepared(place, tmp_path)
    assert source.read_bytes() == before


def test_names_of_splits_and_ids_lead_nowhere_else(tmp_path):
    folder = write_wenet_shards(tmp_path / "in")
    name = "../../up"
    line = {"key": name, "wav": str(RECORDINGS["lj"][0]), "txt": "a", "start": 0, "end": 1}
    write_jsonl(folder / "data.list", [line])
    prepared(folder, tmp_path / "out")
    (utterance,) = read_manifest(tmp_path / "out" / "in.jsonl")
    assert utterance.id == name
    assert utterance.audio_path.parent == tmp_path / "out" / "audio" / "in"


def test_written_audio_is_not_written_again(tmp_path):
    folder, out = write_wenet_shards(tmp_path / "train"), tmp_path / "out"
    prepared(folder, out)
    manifest = (out / "train.jsonl").read_bytes()
    assert json.loads(manifest.splitlines()[0])["audio_filepath"].startswith("audio/train/lj-")
    written = {path: path.stat().st_mtime_ns for path in out.glob("audio/train/*")}
    assert len(written) == 3
    prepared(folder, out)
    assert {path: path.stat().st_mtime_ns for path in out.glob("audio/train/*")} == written
    assert (out / "train.jsonl").read_bytes() == manifest
    os.utime(folder / "shards_000.tar", ns=(0, 0))  # another source: nothing old is taken for it
    prepared(folder, out)
    assert not {u.audio_path for u in read_manifest(out / "train.jsonl")} & written.keys()


def test_killed_and_called_again_gives_what_one_call_gives(tmp_path):
    """Cut at three moments of its life; what is there is always whole."""
    path = RECORDINGS["lj"][0]
    lines = [
        {"key": f"k{i}", "wav": str(path), "txt": "a b", "start": i / 500, "end": 1 + i / 500}
        for i in range(300)
    ]
    write_jsonl(tmp_path / "train" / "data.list", lines)
    prepared(tmp_path / "train", tmp_path / "once")
    expected = (tmp_path / "once" / "train.jsonl").read_bytes()
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "halfbyte", "prepare", str(tmp_path / "train"), "-o", str(out)]
    audio = out / "audio" / "train"
    for num_files in (1, 80, 200):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while process.poll() is None and len(list(audio.glob("[!.]*"))) < num_files:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for written in audio.glob("[!.]*"):
            assert soundfile.info(written).duration == 1.0
    assert main([*command[3:]]) == 0
    assert (out / "train.jsonl").read_bytes() == expected
    assert list(audio.glob(".*")) == []


def test_the_verb_writes_manifests_report_and_plot(tmp_path, capsys):
    folder, out = write_csv(tmp_path / "in"), tmp_path / "out"
    assert main(["prepare", str(folder), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert said == (out / "report.txt").read_text()
    assert "train" in said
    assert sorted(p.name for p in out.iterdir()) == [
        "report.json",
        "report.png",
        "report.txt",
        "train.jsonl",
    ]
    assert (out / "report.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["prepare", str(folder), "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((out / "report.json").read_text())


def test_a_plot_shows_what_its_font_lacks(tmp_path):
    write_jsonl(tmp_path / "为" / "train.jsonl", [{**FIRST, "text": "而对楼市 $a$ \u0007"}])
    assert main(["prepare", str(tmp_path / "为"), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["gone"], "no such file or folder: gone"),
        (["in", "--format", "kaldi"], "is no kaldi corpus"),
        (["in", "--format", "wav"], "invalid choice: 'wav'"),
        (["in"], "train.csv line 2"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, words, named):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "in")
    (tmp_path / "in" / "wavs" / "lj.wav").unlink()
    try:
        status = main(["prepare", *words, "-o", "out"])
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("halfbyte prepare: ")
    assert named in err
    assert not Path("out").exists()


def test_without_matplotlib_all_but_the_plot_is_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out = tmp_path / "out"
    assert main(["prepare", str(write_csv(tmp_path / "in")), "-o", str(out)]) == 0
    assert "pip install 'halfbyte[data]'" in capsys.readouterr().err
    assert (out / "report.json").exists()
    assert not (out / "report.png").exists()
