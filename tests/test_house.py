"""House rules that no linter checks: what an import pulls in, and what no file may hold."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT, TONES

import halfbyte
from halfbyte.families.registry import known_families

DEVICE_ROOMS = ["halfbyte", "halfbyte.cli", "halfbyte.listen", "halfbyte.engine"]
TRAINING_ONLY = {"torch", "numpy", "lightning", "onnx", "onnxruntime", "sentencepiece", "soundfile"}
LARGEST_INSTALL_BYTES = 12_000_000
SPEECH = ROOT / "tests" / "data" / "ljspeech_LJ001-0002.wav"
VERBS_OF_A_DEVICE = ["transcribe", "info"]

LIST_MODULES = """
import pkgutil, sys, importlib
package = importlib.import_module({name!r})
for module in pkgutil.walk_packages(package.__path__, {name!r} + ".") if {deep} else []:
    importlib.import_module(module.name)
print("\\n".join(sorted(sys.modules)))
"""


def imported(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has after running the code."""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.parametrize("name", DEVICE_ROOMS)
def test_what_runs_on_a_device_imports_neither_torch_nor_numpy(name):
    deep = name in ("halfbyte.listen", "halfbyte.engine")  # every module of these rooms
    assert not imported(LIST_MODULES.format(name=name, deep=deep)) & TRAINING_ONLY


@pytest.mark.parametrize("verb", VERBS_OF_A_DEVICE)
def test_a_verb_of_a_device_starts_without_torch_and_numpy(verb):
    code = (
        "import sys\n"
        "from halfbyte.cli import main\n"
        "try:\n"
        f"    main([{verb!r}, '--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0, end.code\n"
        "print('\\n'.join(sorted(sys.modules)))\n"
    )
    assert not imported(code) & TRAINING_ONLY


@pytest.mark.parametrize("model", [None, TONES], ids=["shipped", "golden"])
def test_a_file_is_transcribed_where_torch_and_numpy_cannot_be_imported(model):
    words = ["transcribe", "--json", str(SPEECH)] + (["--model", str(model)] if model else [])
    assert "text" in run_without_training_packages(words)


def test_a_model_file_is_evaluated_where_torch_and_numpy_cannot_be_imported(tmp_path):
    line = {"audio_filepath": str(SPEECH), "text": "low high", "duration": 1.9}
    (tmp_path / "test.jsonl").write_text(json.dumps(line) + "\n")
    words = ["eval", "--json", str(TONES), str(tmp_path / "test.jsonl")]
    assert run_without_training_packages(words)["words"] == 2


def run_without_training_packages(words: list[str]) -> dict[str, object]:
    """What `halfbyte WORDS…` prints as JSON."""
    code = (
        "import sys\n"
        f"sys.modules |= dict.fromkeys({sorted(TRAINING_ONLY | {'soxr', 'yaml'})!r})\n"
        "from halfbyte.cli import main\n"
        f"sys.exit(main({words!r}))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_the_package_with_its_model_is_small():
    folder = Path(halfbyte.__file__).parent
    files = [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert (folder / "assets" / "en-voice.hb") in files
    assert sum(p.stat().st_size for p in files) < LARGEST_INSTALL_BYTES


def test_the_package_holds_nothing_but_itself():
    folder = Path(halfbyte.__file__).parent
    suffixes = {p.suffix for p in folder.rglob("*") if p.is_file()}
    page = {".html", ".css", ".js", ".svg"}
    assert suffixes <= {".py", ".pyi", ".pyc", ".so", ".hb", ".wav", ".jsonl", *page}


def tracked_files() -> list[Path]:
    """Text files of the repository; of a folder without git, all that are no build output."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stderr
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [p for p in paths if p.is_file() and b"\0" not in p.read_bytes()[:4096]]


def test_no_file_names_a_place_on_somebodys_machine():
    # Pieced together, so that this file does not find itself.
    places = "|".join(["wo" + "rk", "ho" + "me", "Us" + "ers"])
    place = re.compile(rf"(?<![\w.~}}])/({places})/\w")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if place.search(line)
    ]
    assert found == []


def test_a_family_is_named_by_its_folder_and_its_pipeline_alone():
    rooms = [ROOT / room for room in ("src", "csrc", "include")]
    files = [p for p in tracked_files() if any(room in p.parents for room in rooms)]
    found = []
    for name in known_families():  # as code names it: a name may be an everyday word as well
        named = re.compile(rf"[\"']{name}[\"']|families[./]{name}\b|pipelines?[_/]{name}\b")
        own = [ROOT / "src/halfbyte/families" / name, ROOT / "csrc/pipelines"]
        found += [
            path.relative_to(ROOT).as_posix()
            for path in files
            if not any(folder in path.parents for folder in own)
            and named.search(path.read_text(encoding="utf-8"))
        ]
    assert found == []


def test_no_file_puts_work_off():
    mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    found = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.name != "LICENSE" and mark.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []
