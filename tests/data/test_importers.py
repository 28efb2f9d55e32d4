"""Every corpus layout becomes the same manifest, by the libraries that write it."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from data.corpora_on_disk import (
    RECORDINGS,
    duration_s,
    lhotse_cuts,
    nemo_lines,
    write_csv,
    write_jsonl,
    write_kaldi,
    write_tar,
    write_wenet_shards,
)
from recipes.layouts import (
    AISHELL_TEXTS,
    write_aishell,
    write_common_voice,
    write_librispeech,
)

from halfbyte.data.audio import read_audio
from halfbyte.data.importers import IMPORTERS, choose_importer
from halfbyte.data.manifest import Utterance, read_manifest
from halfbyte.data.prepare import PrepareOptions, prepare
from halfbyte.errors import ManifestError, UsageError

TEXTS = {key: text for key, (_, text, _) in RECORDINGS.items()}
LINE_STEP = 2**-15  # of 16-bit FLAC


def prepared(source: Path, folder: Path, layout: str, **options) -> dict[str, list[Utterance]]:
    """Manifests by split, of a source whose layout is recognised."""
    importer = choose_importer(source)
    assert importer.name == layout
    report = prepare(source, folder, importer, PrepareOptions(**options))
    return {split: read_manifest(folder / f"{split}.jsonl") for split in report.splits}


def assert_same_speech(utterances: list[Utterance]) -> None:
    """They are the recordings: texts, durations, samples."""
    assert sorted(u.text for u in utterances) == sorted(TEXTS.values())
    key_of = {text: key for key, text in TEXTS.items()}
    for utterance in utterances:
        key = key_of[utterance.text]
        assert utterance.duration_s == pytest.approx(duration_s(key), abs=1e-4)
        samples = read_audio(utterance.audio_path, 16000)
        np.testing.assert_allclose(samples, read_audio(RECORDINGS[key][0], 16000), atol=LINE_STEP)


def refused(source: Path, folder: Path, *named: object) -> None:
    """Without --skip-bad: one line that names all this."""
    with pytest.raises(ManifestError) as caught:
        prepare(source, folder, choose_importer(source))
    assert "\n" not in str(caught.value)
    for text in named:
        assert str(text) in str(caught.value)


def test_kaldi(tmp_path):
    for split in ("train", "dev"):
        write_kaldi(tmp_path / "data" / split)
    splits = prepared(tmp_path / "data", tmp_path / "out", "kaldi")
    assert list(splits) == ["dev", "train"]
    assert_same_speech(splits["train"])
    assert {u.id: u.speaker for u in splits["dev"]} == {k: s for k, (_, _, s) in RECORDINGS.items()}
    assert not (tmp_path / "out" / "audio").exists()  # recordings stay where they are


def test_kaldi_segments_are_cut(tmp_path):
    folder = write_kaldi(tmp_path / "train")
    (folder / "segments").write_text("a lj 0.5 1.25\nb lj 1.25 -1\n")
    (folder / "text").write_text("a in being\nb comparatively\n")
    first, second = prepared(folder, tmp_path / "out", "kaldi")["train"]
    whole = read_audio(RECORDINGS["lj"][0], 16000)
    np.testing.assert_allclose(
        read_audio(first.audio_path, 16000), whole[8000:20000], atol=LINE_STEP
    )
    assert first.duration_s == 0.75
    assert second.duration_s == pytest.approx(duration_s("lj") - 1.25, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("wav.scp", "lj touch {marker} |\n", ["wav.scp line 1", "commands in data are not run"]),
        ("wav.scp", "lj audio.ark:123\n", ["wav.scp line 1", "archive"]),
        ("wav.scp", "lj gone.wav\n", ["wav.scp line 1", "gone.wav is missing"]),
        ("wav.scp", "lj\n", ["wav.scp line 1 names no file"]),
        ("text", "lj words\nother words\n", ["is not in", "text"]),
        ("segments", "a lj 0 1\n", ["segments line 1", "a is not in"]),
        ("segments", "lj lj 1 0.5\n", ["segments line 1", "end 0.5 s is not after start 1 s"]),
        ("segments", "lj lj 0 soon\n", ["segments line 1", "end is 'soon'"]),
        ("segments", "lj lj 0 nan\n", ["segments line 1", "end is 'nan'"]),
        ("segments", "lj lj 0 inf\n", ["segments line 1", "end is 'inf'"]),
        ("segments", "lj lj 0 -2\n", ["segments line 1", "end is '-2'"]),
        ("segments", "lj lj nan 1\n", ["segments line 1", "start is 'nan'"]),
        ("segments", "lj lj 0 1\nlj lj 1 2\n", ["segments line 2", "'lj' is the key"]),
        ("wav.scp", "lj a.wav\nlj b.wav\n", ["wav.scp line 2", "'lj' is the key"]),
        ("text", "lj one\nlj two\n", ["text line 2", "'lj' is the key"]),
        ("utt2spk", "lj linda\nlj otto\n", ["utt2spk line 2", "'lj' is the key"]),
        ("segments", "lj lj x 1\n", ["segments line 1", "start is 'x'"]),
        ("segments", "lj lj\n", ["segments line 1", "expected 'utterance recording start end'"]),
        ("segments", "lj nobody 0 1\n", ["segments line 1", "'nobody' is not in wav.scp"]),
        ("segments", "lj lj 1 900\n", ["segments line 1", "900 s is outside"]),
    ],
)
def test_bad_lines_of_kaldi_are_named(tmp_path, name, content, named):
    folder = write_kaldi(tmp_path / "train")
    marker = tmp_path / "marker"
    (folder / name).write_text(content.format(marker=marker))
    refused(folder, tmp_path / "out", *named)
    assert not marker.exists()


def test_the_first_of_a_repeated_kaldi_key_stays(tmp_path):
    folder = write_kaldi(tmp_path / "train")
    (folder / "text").write_text("lj one\nlj two\nabbey three\ncall four\n")
    utterances = prepared(folder, tmp_path / "out", "kaldi", skip_bad=True)["train"]
    assert [u.text for u in utterances] == ["one", "three", "four"]


def test_lhotse_cuts(tmp_path):
    lhotse_cuts().to_file(tmp_path / "corpus_cuts_train.jsonl.gz")
    splits = prepared(tmp_path, tmp_path / "out", "lhotse")
    assert list(splits) == ["corpus_train"]
    (utterances,) = splits.values()
    assert_same_speech(utterances)
    assert {u.audio_path for u in utterances} == {path for path, _, _ in RECORDINGS.values()}


def test_lhotse_cuts_of_parts_and_mixtures_are_written(tmp_path):
    cut = lhotse_cuts()["lj"]
    parts = [cut.truncate(offset=0.5, duration=0.75), cut.pad(duration=3.0), cut.perturb_speed(1.1)]
    with (tmp_path / "cuts.jsonl").open("w") as file:
        for number, part in enumerate(parts):
            file.write(json.dumps(part.with_id(str(number)).to_dict()) + "\n")
    utterances = prepared(tmp_path / "cuts.jsonl", tmp_path / "out", "lhotse")["all"]
    expected_s = [0.75, 3.0, duration_s("lj") / 1.1]
    assert [u.duration_s for u in utterances] == pytest.approx(expected_s, abs=1e-3)


IN_TWO = [("a", "in", 0.5), ("b", "being", 1.0)]


def lhotse_cuts_in_two():
    from lhotse import CutSet, SupervisionSegment

    cut = lhotse_cuts()["lj"]
    cut.supervisions = [
        SupervisionSegment("a", "lj", 0.0, 0.5, text="in"),
        SupervisionSegment("b", "lj", 0.5, 1.0, text="being"),
    ]
    return CutSet.from_cuts([cut])


def test_lhotse_cuts_with_several_supervisions_are_cut(tmp_path):
    lhotse_cuts_in_two().to_file(tmp_path / "cuts.jsonl.gz")
    utterances = prepared(tmp_path, tmp_path / "out", "lhotse")["all"]
    assert [(u.id, u.text, u.duration_s) for u in utterances] == IN_TWO


def test_commands_of_lhotse_are_not_run(tmp_path):
    fields = lhotse_cuts()["lj"].to_dict()
    marker = tmp_path / "marker"
    source = {"type": "command", "channels": [0], "source": f"touch {marker}"}
    fields["recording"]["sources"] = [source]
    write_jsonl(tmp_path / "cuts.jsonl", [fields])
    refused(tmp_path, tmp_path / "out", "cuts.jsonl line 1", "command", "data run nothing")
    assert not marker.exists()


@pytest.mark.parametrize("audio_format", ["flac", "wav"])
def test_shar(tmp_path, audio_format):
    for split in ("train", "dev"):
        folder = tmp_path / "shar" / split
        folder.mkdir(parents=True)
        lhotse_cuts().to_shar(folder, {"recording": audio_format}, shard_size=2)
    splits = prepared(tmp_path / "shar", tmp_path / "out", "shar")
    assert list(splits) == ["dev", "train"]
    assert_same_speech(splits["train"])


def test_a_shar_that_was_cut_short_is_named(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    lhotse_cuts().to_shar(folder, {"recording": "wav"}, shard_size=5)
    tar = folder / "recording.000000.tar"
    tar.write_bytes(tar.read_bytes()[:60000])
    refused(folder, tmp_path / "out", tar)


def test_shar_cuts_with_several_supervisions_are_cut(tmp_path):
    lhotse_cuts_in_two().to_shar(tmp_path, {"recording": "wav"})
    (utterances,) = prepared(tmp_path, tmp_path / "out", "shar").values()
    assert [(u.id, u.text, u.duration_s) for u in utterances] == IN_TWO


def test_nemo(tmp_path):
    write_jsonl(tmp_path / "in" / "train.json", nemo_lines())
    write_jsonl(tmp_path / "in" / "other.json", [{"name": "no manifest"}])
    splits = prepared(tmp_path / "in", tmp_path / "out", "nemo")
    assert list(splits) == ["train"]
    assert_same_speech(splits["train"])


def test_nemo_offsets_are_cut(tmp_path):
    line = {**nemo_lines()[0], "offset": 0.5, "duration": 0.75}
    write_jsonl(tmp_path / "train.json", [line, {**line, "offset": 1.0}])
    utterances = prepared(tmp_path / "train.json", tmp_path / "out", "nemo")["train"]
    assert [u.duration_s for u in utterances] == [0.75, 0.75]
    assert len({u.id for u in utterances}) == 2


def test_nemo_in_tar_files(tmp_path):
    lines = []
    for shard_id, (key, (path, text, _)) in enumerate(RECORDINGS.items()):
        write_tar(tmp_path / "in" / f"audio_{shard_id}.tar", {f"{key}.wav": path.read_bytes()})
        name, length_s = f"{key}.wav", duration_s(key)
        lines.append(
            {"audio_filepath": name, "text": text, "duration": length_s, "shard_id": shard_id}
        )
    write_jsonl(tmp_path / "in" / "tarred_audio_manifest.json", lines)
    splits = prepared(tmp_path / "in", tmp_path / "out", "nemo")
    assert_same_speech(splits["tarred_audio_manifest"])


def test_a_shard_that_lacks_a_member_is_named(tmp_path):
    write_tar(tmp_path / "audio_0.tar", {})
    line = {"audio_filepath": "a.wav", "text": "a", "duration": 1.0, "shard_id": 0}
    write_jsonl(tmp_path / "manifest.json", [line])
    refused(tmp_path, tmp_path / "out", "manifest.json line 1", "a.wav is not in", "audio_0.tar")


def test_our_own_manifests_are_nemos(tmp_path):
    first = write_jsonl(tmp_path / "in" / "train.jsonl", nemo_lines())
    once = prepared(first, tmp_path / "once", "nemo")["train"]
    twice = prepared(tmp_path / "once" / "train.jsonl", tmp_path / "twice", "nemo")["train"]
    assert once == twice


def test_wenet_raw(tmp_path):
    lines = [
        {"key": key, "wav": str(path), "txt": text} for key, (path, text, _) in RECORDINGS.items()
    ]
    write_jsonl(tmp_path / "data" / "train" / "data.list", lines)
    splits = prepared(tmp_path / "data", tmp_path / "out", "wenet")
    assert list(splits) == ["train"]
    assert_same_speech(splits["train"])


def test_wenet_raw_with_times(tmp_path):
    path = str(RECORDINGS["lj"][0])
    line = {"key": "a", "wav": path, "txt": "in being", "start": 0.25, "end": 1.0}
    write_jsonl(tmp_path / "train" / "data.list", [line])
    (utterance,) = prepared(tmp_path / "train", tmp_path / "out", "wenet")["train"]
    assert utterance.duration_s == 0.75


def test_times_of_wenet_that_end_before_they_start(tmp_path):
    path = str(RECORDINGS["lj"][0])
    line = {"key": "a", "wav": path, "txt": "in being", "start": 1.0, "end": 0.25}
    write_jsonl(tmp_path / "train" / "data.list", [line])
    refused(tmp_path / "train", tmp_path / "out", "line 1: end 0.25 s is not after start 1 s")


def test_a_tar_file_that_holds_a_name_twice(tmp_path):
    folder = write_wenet_shards(tmp_path / "train")
    with tarfile.open(folder / "shards_000.tar", "a") as tar:
        tar.add(RECORDINGS["call"][0], "lj.wav")
    refused(folder, tmp_path / "out", "shards_000.tar holds lj.wav twice")


def test_wenet_shards(tmp_path):
    folder = write_wenet_shards(tmp_path / "train")
    assert_same_speech(prepared(folder, tmp_path / "out", "wenet")["train"])


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"key": "a", "wav": "a.wav"}', ["data.list line 1", "'txt' is missing"]),
        ("gone.tar", ["data.list line 1", "gone.tar"]),
        ('{"key": ', ["data.list line 1", "not JSON"]),
        ("untold.tar", ["untold.tar member b.wav", "no b.txt"]),
    ],
)
def test_bad_lines_of_wenet_are_named(tmp_path, content, named):
    write_tar(tmp_path / "train" / "untold.tar", {"b.wav": b""})
    (tmp_path / "train" / "data.list").write_text(content + "\n")
    refused(tmp_path / "train", tmp_path / "out", *named)


def hugging_face(folder: Path, label: bool = False):
    from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, Value

    names = sorted(TEXTS.values())
    rows = {
        "audio": [{"bytes": p.read_bytes(), "path": p.name} for p, _, _ in RECORDINGS.values()],
        "sentence": [names.index(t) if label else t for _, t, _ in RECORDINGS.values()],
        "client_id": [s for _, _, s in RECORDINGS.values()],
    }
    said = ClassLabel(names=names) if label else Value("string")
    stored = {"bytes": Value("binary"), "path": Value("string")}
    features = Features({"audio": stored, "sentence": said, "client_id": Value("string")})
    dataset = Dataset.from_dict(rows, features=features).cast_column("audio", Audio())
    DatasetDict({"train": dataset, "validation": dataset}).save_to_disk(folder)
    return folder


@pytest.mark.parametrize("label", [False, True])
def test_hugging_face(tmp_path, label):
    folder = hugging_face(tmp_path / "in", label)
    splits = prepared(folder, tmp_path / "out", "huggingface")
    assert list(splits) == ["train", "validation"]
    assert_same_speech(splits["train"])
    assert {u.speaker for u in splits["train"]} == {s for _, _, s in RECORDINGS.values()}
    (only,) = prepared(folder / "train", tmp_path / "single", "huggingface").values()
    assert_same_speech(only)


def test_a_table(tmp_path):
    splits = prepared(write_csv(tmp_path / "in"), tmp_path / "out", "csv")
    assert_same_speech(splits["train"])
    assert {u.id for u in splits["train"]} == set(RECORDINGS)


def test_a_table_with_a_column_of_splits(tmp_path):
    folder = write_csv(tmp_path / "in")
    rows = ["Path\tSentence\tSplit\tDuration", 'lj.wav\tthe "one\ttrain\t', "call.wav\ttwo\tdev\t9"]
    (folder / "train.csv").unlink()
    (folder / "all.tsv").write_text("\n".join(rows) + "\n")
    splits = prepared(folder, tmp_path / "out", "csv")
    assert [u.text for u in splits["train"]] == ['the "one']
    assert [u.text for u in splits["dev"]] == ["two"]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("name,number\na,1\n", ["train.csv line 1", "no column for the audio", "'audio'"]),
        ("audio,number\na,1\n", ["train.csv line 1", "no column for the text"]),
        ("audio,text\nlj.wav,a\nlj.wav\n", ["train.csv line 3", "cut short"]),
        ('audio,text\nlj.wav,"a\ncall.wav,b\n', ["train.csv line 2", "quotation mark"]),
        ('audio;text\nlj.wav;"a" b\n', ["train.csv line 2", "quotation mark"]),
        ("audio,text\nlj.wav,one, two\n", ["train.csv line 2 has 3 fields", "names 2"]),
        ("audio,text,text\nlj.wav,a,b\n", ["line 1: two columns are called 'text'"]),
        ("audio,text,duration\nlj.wav,a,x\n", ["train.csv line 2", "duration is 'x'"]),
        ("audio,text\ngone.wav,a\n", ["train.csv line 2", "gone.wav is missing"]),
    ],
)
def test_bad_lines_of_tables_are_named(tmp_path, content, named):
    folder = write_csv(tmp_path / "in")
    (folder / "train.csv").write_text(content)
    refused(folder, tmp_path / "out", *named)


@pytest.mark.parametrize("separator", ["|", "\t"])
def test_quotation_marks_quote_nothing_in_tables_of_bars_and_tabs(tmp_path, separator):
    folder = write_csv(tmp_path / "in")
    rows = ["audio@text", 'lj.wav@"one', "call.wav@two", 'abbey.wav@"three" four']
    (folder / "train.csv").write_text("\n".join(rows).replace("@", separator) + "\n")
    utterances = prepared(folder, tmp_path / "out", "csv")["train"]
    assert [u.text for u in utterances] == ['"one', "two", '"three" four']


def test_quoted_fields_of_commas(tmp_path):
    folder = write_csv(tmp_path / "in")
    rows = ["audio,text,", 'lj.wav,"one, two",', 'call.wav,"say ""three""",']
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    utterances = prepared(folder, tmp_path / "out", "csv")["train"]
    assert [u.text for u in utterances] == ["one, two", 'say "three"']


def test_common_voice_as_unpacked(tmp_path):
    folder = write_common_voice(tmp_path / "cv-corpus-17.0" / "en")
    splits = prepared(folder, tmp_path / "out", "commonvoice")
    assert list(splits) == ["train", "dev", "test"]
    assert [(u.id, u.text, u.speaker) for u in splits["dev"]] == [("abbey", 'say "abbey', "s1")]
    splits = prepared(folder.parent, tmp_path / "both", "commonvoice")
    assert list(splits) == ["en-train", "en-dev", "en-test"]


@pytest.mark.parametrize("inner", ["", "LibriSpeech"])
def test_librispeech(tmp_path, inner):
    root = write_librispeech(tmp_path / "in") / inner
    splits = prepared(root, tmp_path / "out", "librispeech", lower_case=True)
    assert {"dev-clean", "train-clean-100"} <= splits.keys()
    assert_same_speech(splits["train-clean-100"])
    assert {u.speaker for u in splits["dev-clean"]} == {"84"}


def test_aishell(tmp_path):
    splits = prepared(write_aishell(tmp_path / "in"), tmp_path / "out", "aishell")
    assert list(splits) == ["dev", "test", "train"]
    assert [u.text for u in splits["train"]] == ["".join(t.split()) for t in AISHELL_TEXTS]
    assert {u.speaker for u in splits["test"]} == {"S0764"}


def test_a_text_twice_in_aishell_is_named(tmp_path):
    root = write_aishell(tmp_path / "in")
    transcript = next(root.rglob("aishell_transcript_v0.8.txt"))
    lines = transcript.read_text(encoding="utf-8").splitlines()
    transcript.write_text("\n".join([*lines, lines[0]]) + "\n", encoding="utf-8")
    refused(root, tmp_path / "out", f"line {len(lines) + 1}: 'BAC009S0002W0000' is the key")


def test_aishell_with_archives_left_packed_says_so(tmp_path):
    root = write_aishell(tmp_path / "in") / "data_aishell"
    (root / "wav").rename(root / "packed")
    (root / "wav").mkdir()
    refused(root, tmp_path / "out", "unpack")


def test_no_layout_is_a_mistake_that_names_all_layouts(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UsageError) as caught:
        choose_importer(tmp_path)
    assert all(name in str(caught.value) for name in IMPORTERS)
    with pytest.raises(UsageError, match="no kaldi corpus; expected a folder with"):
        choose_importer(tmp_path, "kaldi")
    with pytest.raises(UsageError, match="no such file or folder"):
        choose_importer(tmp_path / "gone")
