"""A user's mistake: one line on standard error, status 2, nothing else, whatever the mistake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from paths import GOLDEN, TONES

SPEECH = Path(__file__).parents[1] / "data" / "ljspeech_LJ001-0002.wav"
WAV = SPEECH.read_bytes()
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0" + bytes(30)
AUDIO = {
    "empty": (b"", "empty"),
    "text": (b"these are words, not sound\n", "not a WAV file"),
    "png": (PNG, "not a WAV file"),
    "cut within the header": (WAV[:30], "cut short"),
    "cut before the data": (WAV[:44], "no samples"),
    "cut within the magic": (WAV[:7], "ends after 7 bytes"),
    "a model": (TONES.read_bytes(), "not a WAV file"),
}
MODEL = TONES.read_bytes()
MODELS = {
    "empty": (b"", ""),
    "audio": (WAV, ""),
    "text": (b"a model, honestly\n" * 30, ""),
    "cut within the header": (MODEL[:40], ""),
    "cut short": (MODEL[: len(MODEL) // 2], "cut short|size|bytes"),
    "one byte short": (MODEL[:-1], ""),
    "longer": (MODEL + b"\0", ""),
    "version 1": (MODEL[:8] + b"\1" + MODEL[9:], ""),
    "a flipped byte": (MODEL[:9000] + bytes([MODEL[9000] ^ 1]) + MODEL[9001:], "damaged|checksum"),
}


def assert_mistake(done, *named: object) -> None:
    assert done.is_mistake(), done
    for text in named:
        assert str(text) in done.err


@pytest.mark.parametrize("name", AUDIO)
@pytest.mark.parametrize("form", ["--json", "--stream", "--stats"])
def test_what_is_no_audio(halfbyte, tmp_path, name, form):
    content, reason = AUDIO[name]
    path = tmp_path / "talk.wav"
    path.write_bytes(content)
    done = halfbyte("transcribe", path, "--model", TONES, form)
    assert_mistake(done, "halfbyte transcribe: ", path, reason)


@pytest.mark.parametrize("name", ["missing.wav", "a\nb.wav", "missing.mp3"])
def test_missing_audio(halfbyte, tmp_path, name):
    done = halfbyte("transcribe", tmp_path / name, "--model", TONES)
    assert_mistake(done, "no such file")


def test_a_folder_as_audio(halfbyte, tmp_path):
    assert_mistake(halfbyte("transcribe", tmp_path, "--model", TONES), tmp_path, "a folder")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("verb", ["transcribe", "info", "eval"])
def test_what_is_no_model(halfbyte, tmp_path, verb, name):
    path = tmp_path / "model.hb"
    path.write_bytes(MODELS[name][0])
    manifest = tmp_path / "test.jsonl"
    manifest.write_text(f'{{"audio_filepath": "{SPEECH}", "text": "a", "duration": 1}}\n')
    words = {"info": [path], "transcribe": [SPEECH, "--model", path], "eval": [path, manifest]}
    assert_mistake(halfbyte(verb, *words[verb]), f"halfbyte {verb}: ", path)


def test_the_version_of_a_model_is_named(halfbyte, tmp_path):
    """With a right checksum, so that the version is all that is wrong."""
    import struct
    import zlib

    header = MODEL[:8] + struct.pack("<I", 9) + MODEL[12:60]
    path = tmp_path / "model.hb"
    path.write_bytes(header + struct.pack("<I", zlib.crc32(header)) + MODEL[64:])
    assert_mistake(halfbyte("info", path), "version 9")


@pytest.mark.parametrize("verb", ["transcribe", "info", "eval"])
def test_a_missing_model(halfbyte, tmp_path, verb):
    path = tmp_path / "missing.hb"
    words = {"info": [path], "transcribe": [SPEECH, "--model", path], "eval": [path, path]}
    assert_mistake(halfbyte(verb, *words[verb]), path)


@pytest.mark.parametrize("verb", ["transcribe", "info", "eval", "compile", "export"])
def test_a_folder_as_a_model(halfbyte, tmp_path, verb):
    folder = tmp_path / "folder"
    folder.mkdir()
    manifest = tmp_path / "test.jsonl"
    manifest.write_text(f'{{"audio_filepath": "{SPEECH}", "text": "a", "duration": 1}}\n')
    words = {
        "info": [folder],
        "transcribe": [SPEECH, "--model", folder],
        "eval": [folder, manifest],
        "compile": [folder, "-o", tmp_path / "x.hb"],
        "export": [folder, "-o", tmp_path / "x"],
    }
    assert_mistake(halfbyte(verb, *words[verb]), folder)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--mode", "psychic"], "psychic"),
        (["--chunk-ms", "50"], "chunk_ms is 50; expected one of the model's: 40, 80, 120"),
        (["--chunk-ms", "-40"], "-40"),
        (["--chunk-ms", "soon"], "soon"),
        (["--loud"], "--loud"),
        (["--json", "--srt"], "--srt"),
        (["beam=3"], "beam=3"),
    ],
    ids=str,
)
def test_options_that_are_not_offered(halfbyte, words, named):
    assert_mistake(halfbyte("transcribe", SPEECH, "--model", TONES, *words), named)


@pytest.mark.parametrize(
    "words",
    [[], ["sing"], ["transcribe"], ["compile", "x"], ["eval", "x"], ["--quiet"]],
    ids=str,
)
def test_words_that_are_no_call(halfbyte, words):
    assert_mistake(halfbyte(*words), "--help")


@pytest.fixture
def manifest(tmp_path):
    """Writes a manifest and gives its path."""

    def write(content: str) -> Path:
        path = tmp_path / "test.jsonl"
        path.write_text(content)
        return path

    return write


GOOD_LINE = f'{{"audio_filepath": "{SPEECH}", "text": "a", "duration": 1.9}}\n'


@pytest.mark.parametrize(
    "line",
    [
        *("not JSON", "[]", "3", "{}", '{"audio_filepath": 3, "text": "", "duration": 1}'),
        '{"audio_filepath": "a.wav", "text": "a", "duration": "long"}',
    ],
)
def test_a_manifest_with_a_bad_line(halfbyte, manifest, line):
    path = manifest(GOOD_LINE + line + "\n")
    assert_mistake(halfbyte("eval", TONES, path), path, "line 2")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_manifest(halfbyte, manifest, content):
    assert_mistake(halfbyte("eval", TONES, manifest(content)), "empty")


def test_a_missing_manifest(halfbyte, tmp_path):
    assert_mistake(halfbyte("eval", TONES, tmp_path / "missing.jsonl"), "missing.jsonl")


def test_a_manifest_of_missing_audio(halfbyte, manifest):
    line = '{"audio_filepath": "missing.wav", "text": "a", "duration": 1}\n'
    assert_mistake(halfbyte("eval", TONES, manifest(line), "--json"), "missing.wav")


@pytest.mark.parametrize("words", [["--mode", "psychic"], ["--chunk-ms", "50"]], ids=str)
def test_eval_options_that_the_model_lacks(halfbyte, manifest, words):
    assert_mistake(halfbyte("eval", TONES, manifest(GOOD_LINE), "--json", *words), words[1])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("weights.safetensors", b"none"),
        ("tokenizer.model", b"none"),
        ("config.yaml", b"{"),
        ("config.yaml", b"model: {encoder: {widht: 3}}"),
        ("config.yaml", b"- 1"),
        ("config.yaml", b"model: {encoder: {width: 64}}"),
    ],
    ids=str,
)
def test_a_damaged_checkpoint(halfbyte, tmp_path, file, content):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    for path in (GOLDEN / "tones-mixed").iterdir():
        (checkpoint / path.name).write_bytes(path.read_bytes())
    (checkpoint / file).write_bytes(content)
    assert_mistake(halfbyte("export", checkpoint, "-o", tmp_path / "onnx"))
    assert not (tmp_path / "onnx").exists()


@pytest.mark.parametrize("card", ["missing.json", "{", "[1]"])
def test_a_bad_card(halfbyte, tmp_path, card):
    path = tmp_path / "card.json"
    if card != "missing.json":
        path.write_text(card)
    words = ("export", GOLDEN / "tones-mixed", "-o", tmp_path / "onnx", "--card", path)
    assert_mistake(halfbyte(*words), "card")


CONFIG = {
    "family": "u2",
    "data": {"train": ["t.jsonl"]},
    "tokens": {"kind": "characters", "size": 9},
}


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.encoder.widht=3", "widht"),
        ("loop.epochs=many", "loop.epochs"),
        ("quantization.default=w9a8", "w9a8"),
        ("=3", ""),
    ],
)
def test_train_overrides(halfbyte, tmp_path, override, named):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "t.jsonl").write_text(GOOD_LINE)
    done = halfbyte("train", config, "--run", tmp_path / "run", f"data.root={tmp_path}", override)
    assert_mistake(done, "halfbyte train: ", named)


@pytest.mark.parametrize("verb", ["info", "transcribe"])
def test_an_instruction_set_that_is_none(verb):
    words = ["info", TONES] if verb == "info" else ["transcribe", SPEECH, "--model", TONES]
    done = subprocess.run(
        [sys.executable, "-m", "halfbyte", *map(str, words)],
        env=os.environ | {"HALFBYTE_ISA": "abacus"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "abacus" in done.stderr


MISSING_PACKAGE = """
import sys
sys.modules[sys.argv[1]] = None
from halfbyte.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("package", "extra", "words"),
    [
        ("torch", "train", ["export", str(GOLDEN / "tones-mixed"), "-o", "x"]),
        ("onnx", "train", ["compile", "x", "-o", "x.hb"]),
        ("yaml", "train", ["train", "config.yaml", "--run", "x"]),
    ],
)
def test_a_missing_package(package, extra, words):
    done = subprocess.run(
        [sys.executable, "-c", MISSING_PACKAGE, package, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"halfbyte {words[0]}: needs the package {package}; "
        f"in a checkout type: pip install '.[{extra}]', "
        f"elsewhere: pip install 'halfbyte[{extra}]'\n"
    )


def test_onnx_runtime_is_in_the_extra_of_tests(tmp_path):
    manifest = tmp_path / "test.jsonl"
    manifest.write_text(GOOD_LINE)
    words = ["onnxruntime", "eval", str(tmp_path), str(manifest)]
    done = subprocess.run(
        [sys.executable, "-c", MISSING_PACKAGE, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "onnxruntime; in a checkout type: pip install '.[test]'" in done.stderr


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["transcribe", "x.wav", "--chunks-ms", "320"], "--chunk-ms"),
        (["transcribe", "x.wav", "--chunks-ms=320"], "--chunk-ms"),
        (["train", "config.yaml", "--rnu", "x"], "--run"),
        (["bench", "quantization", "x.yaml", "--reprot"], "--report"),
        (["transcibe", "x.wav"], "transcribe"),
    ],
)
def test_the_nearest_name_is_suggested(halfbyte, words, nearest):
    done = halfbyte(*words)
    assert done.is_mistake()
    assert f"(did you mean {nearest}?)" in done.err


def test_a_name_that_is_near_none_is_only_named(halfbyte):
    done = halfbyte("info", "x.hb", "--zzz")
    assert done.is_mistake()
    assert (
        done.err
        == "halfbyte info: there is no option --zzz; halfbyte info --help shows what it takes\n"
    )
