"""Manifests: what is read, and one clear line with its number where a line is bad."""

import json
from pathlib import Path

import pytest

from halfbyte.data.manifest import read_manifest
from halfbyte.errors import ManifestError

GOOD = {"audio_filepath": "a/b.wav", "text": "hello there", "duration": 1.5}


def write(folder: Path, *lines: object) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path = folder / "train.jsonl"
    path.write_text("\n".join(texts), encoding="utf-8")
    (folder / "a").mkdir(exist_ok=True)
    (folder / GOOD["audio_filepath"]).touch()
    return path


def test_a_line_becomes_an_utterance(tmp_path):
    full = {**GOOD, "id": 7, "speaker": "ann", "label": "ignored"}
    first, second = read_manifest(write(tmp_path, GOOD, "", full))
    assert first.id == "b"
    assert first.audio_path == tmp_path / "a" / "b.wav"
    assert (first.text, first.duration_s, first.speaker) == ("hello there", 1.5, "")
    assert (second.id, second.speaker) == ("7", "ann")


def test_text_may_be_empty_and_hold_any_character(tmp_path):
    strange = "caf\u00e9 \u2028 next\u0085line"
    lines = [json.dumps({**GOOD, "text": t}, ensure_ascii=False) for t in ("", strange)]
    assert [u.text for u in read_manifest(write(tmp_path, *lines))] == ["", strange]


def test_a_byte_order_mark_and_windows_line_ends_are_no_hindrance(tmp_path):
    path = tmp_path / "windows.jsonl"
    write(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([json.dumps(GOOD).encode()] * 2) + b"\r\n")
    assert len(read_manifest(path)) == 2


def test_an_absolute_audio_path_stays(tmp_path):
    path = tmp_path / "x.flac"
    path.touch()
    manifest = write(tmp_path, {**GOOD, "audio_filepath": str(path)})
    assert read_manifest(manifest)[0].audio_path == path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "not JSON"),
        ('{"audio_filepath": "a.wav"', "not JSON"),
        ("[" * 100000, "not JSON"),
        ("[1, 2]", "list; expected a JSON object"),
        ("3", "int; expected a JSON object"),
        ({"text": "a", "duration": 1}, "'audio_filepath' is missing"),
        ({"audio_filepath": "a.wav", "duration": 1}, "'text' is missing"),
        ({"audio_filepath": "a.wav", "text": "a"}, "'duration' is missing"),
        ({**GOOD, "audio_filepath": 3}, "audio_filepath is 3; expected a string"),
        ({**GOOD, "audio_filepath": "a/gone.wav"}, "gone.wav is missing"),
        ({**GOOD, "audio_filepath": "a"}, "a is missing"),
        ({**GOOD, "audio_filepath": "x" * 5000}, "is missing"),
        ({**GOOD, "audio_filepath": "a\0b"}, "is missing"),
        ({**GOOD, "text": None}, "text is None; expected a string"),
        ({**GOOD, "duration": 0}, "duration is 0; expected seconds"),
        ({**GOOD, "duration": -1.0}, "duration is -1.0"),
        ({**GOOD, "duration": "1.0"}, "duration is '1.0'"),
        ({**GOOD, "duration": True}, "duration is True"),
        ({**GOOD, "duration": float("nan")}, "duration is nan"),
        ({**GOOD, "duration": float("inf")}, "duration is inf"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, said):
    with pytest.raises(ManifestError) as caught:
        read_manifest(write(tmp_path, GOOD, line))
    message = str(caught.value)
    assert "train.jsonl line 2" in message
    assert said in message
    assert "\n" not in message


def test_bad_lines_are_left_out_and_handed_over(tmp_path):
    path = write(tmp_path, "{", GOOD, {**GOOD, "text": None})
    skipped: list[ManifestError] = []
    assert len(read_manifest(path, skipped)) == 1
    assert ["train.jsonl line 1" in str(skipped[0]), "line 3" in str(skipped[1])] == [True, True]


def test_nothing_but_bad_lines_is_a_mistake_all_the_same(tmp_path):
    with pytest.raises(ManifestError, match=r"only bad lines; the first: .*line 1 is not JSON"):
        read_manifest(write(tmp_path, "{"), [])


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_manifest_is_a_mistake(tmp_path, content):
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match="is empty"):
        read_manifest(path)


def test_a_manifest_that_cannot_be_read_is_a_mistake(tmp_path):
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "missing.jsonl", tmp_path, binary):
        with pytest.raises(ManifestError, match="cannot read manifest"):
            read_manifest(path)
