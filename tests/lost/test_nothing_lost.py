"""Killed at any moment or out of disk, a verb leaves the old files or the new ones, each whole.

Training that is killed and goes on is in tests/train/test_run.py.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from data.corpora_on_disk import write_jsonl
from paths import GOLDEN, TONES
from train.corpus import write_config, write_corpus

from halfbyte.cli import main
from halfbyte.engine import ModelFile

RECORDING = Path(__file__).parents[1] / "data" / "ljspeech_LJ001-0002.wav"
REPORTS = ("train.jsonl", "report.json", "report.txt", "report.png")
CHECKPOINT = GOLDEN / "tones-mixed"
NUM_KILLS = 3

Contents = dict[str, bytes]


def contents(folder: Path) -> Contents:
    """Files by name, but for the temporary ones that a killed process leaves."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if p.name[0] != "."}


# Kills its own process at the n-th time that it does something to files.
KILLED = """
import os, signal, sys
event, left = sys.argv[1], int(sys.argv[2])
def hook(name, arguments):
    global left
    if name == event and "/out/" in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from halfbyte.cli import main
sys.exit(main(sys.argv[3:]))
"""


def start(*words: object) -> subprocess.Popen[str]:
    """Starts a verb as a process of its own."""
    return start_python("-m", "halfbyte", *words)


def start_python(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, *map(str, words)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, start_new_session=True, **pipes)


def status_of(process: subprocess.Popen[str]) -> int:
    with process:
        process.communicate(timeout=200)
        return process.returncode


@pytest.fixture(scope="module")
def onnx(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    assert main(["export", str(CHECKPOINT), "-o", str(folder)]) == 0
    return folder


@pytest.fixture
def old_model(tmp_path) -> Path:
    path = tmp_path / "out" / "model.hb"
    path.parent.mkdir()
    shutil.copy(TONES, path)
    return path


@pytest.mark.parametrize("event", ["open", "os.rename"])
def test_compile_killed_before_its_file_is_in_place(onnx, old_model, event):
    old = old_model.read_bytes()
    killed = start_python("-c", KILLED, event, 1, "compile", onnx, "-o", old_model)
    assert status_of(killed) == -signal.SIGKILL
    assert old_model.read_bytes() == old
    assert main(["compile", str(onnx), "-o", str(old_model)]) == 0
    assert old_model.read_bytes() != old


def test_compile_killed_at_random_moments(onnx, old_model):
    new = old_model.with_name("new.hb")
    start_s = time.monotonic()
    assert status_of(start("compile", onnx, "-o", new)) == 0
    whole_s = time.monotonic() - start_s
    moments = random.Random(5)
    for _ in range(NUM_KILLS):
        process = start("compile", onnx, "-o", old_model)
        time.sleep(moments.uniform(0.3, 1.1) * whole_s)
        os.killpg(process.pid, signal.SIGKILL)
        status_of(process)
        assert old_model.read_bytes() in (TONES.read_bytes(), new.read_bytes())


def test_export_killed_before_its_first_file_is_in_place(onnx, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(onnx, folder)
    (folder / "model.json").write_text("{}")  # so that old and new differ
    old, new = contents(folder), contents(onnx)
    killed = start_python("-c", KILLED, "os.rename", 1, "export", CHECKPOINT, "-o", folder)
    assert status_of(killed) == -signal.SIGKILL
    assert contents(folder) == old
    assert status_of(start("export", CHECKPOINT, "-o", folder)) == 0
    assert contents(folder).keys() == new.keys()
    assert contents(folder)["model.json"] == new["model.json"]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> tuple[Path, Path]:
    """Two lists whose utterances are parts of a recording: one of 4, one of 12."""
    folder = tmp_path_factory.mktemp("corpora")
    lists = []
    for num_utterances in (4, 12):
        path = folder / str(num_utterances) / "train" / "data.list"
        stretches = [{"start": i / 10, "end": 0.5 + i / 10} for i in range(num_utterances)]
        lines = [
            {"key": f"part{i}", "wav": str(RECORDING), "txt": "a word", **stretch}
            for i, stretch in enumerate(stretches)
        ]
        write_jsonl(path, lines)
        lists.append(path.parent)
    return lists[0], lists[1]


@pytest.fixture(scope="module")
def prepared(corpora, tmp_path_factory) -> tuple[Path, Path]:
    """What prepare makes of each."""
    folders = tuple(tmp_path_factory.mktemp(name) / "out" for name in ("few", "many"))
    for source, folder in zip(corpora, folders, strict=True):
        assert main(["prepare", str(source), "-o", str(folder)]) == 0
    return folders


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("event", ["open", "os.rename"])
def test_prepare_killed_at_random_moments(corpora, prepared, tmp_path, event, seed):
    old, new = map(contents, prepared)
    num_written = len(new) - len(old) + len(REPORTS)
    out = tmp_path / "out"
    shutil.copytree(prepared[0], out)
    moment = random.Random(seed).randint(1, num_written)
    command = ["prepare", str(corpora[1]), "-o", str(out)]
    assert status_of(start_python("-c", KILLED, event, moment, *command)) == -signal.SIGKILL
    found = contents(out)
    assert old.keys() <= found.keys() <= new.keys()
    for name, content in found.items():
        assert content in (old.get(name), new[name]), name
    assert main(command) == 0
    assert contents(out) == new
    assert not any(path.name[0] == "." for path in (out / "audio").rglob("*"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write_config(folder, write_corpus(folder / "corpus"))
    return folder


def training(workspace: Path, run: str) -> tuple[object, ...]:
    return ("train", workspace / "config.yaml", "--run", workspace / run, "loop.checkpoint_steps=1")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk needs root and mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def assert_said(halfbyte, disk: Path, *words: object) -> None:
    """One line, status 2, what was there is there still, and nothing else."""
    before = contents(disk)
    done = halfbyte(*words)
    assert done.status == 2
    assert done.out == ""
    assert re.fullmatch(r"halfbyte \w+: \S+: No space left on device\n", done.err)
    assert contents(disk) == before
    assert [path for path in disk.rglob("*") if path.name[0] == "."] == []


def test_a_full_disk_leaves_the_old_model(halfbyte, onnx, small_disk):
    path = small_disk / "model.hb"
    path.write_bytes(b"the old model")
    assert_said(halfbyte, small_disk, "compile", onnx, "-o", path)


def test_a_full_disk_leaves_the_old_export(halfbyte, small_disk):
    folder = small_disk / "onnx"
    folder.mkdir()
    (folder / "encoder.onnx").write_bytes(b"the old encoder")
    assert_said(halfbyte, small_disk, "export", CHECKPOINT, "-o", folder)


def test_training_on_a_full_disk_says_so(workspace, small_disk):
    run = small_disk / "run"
    words = (*training(workspace, "unused")[:2], "--run", run, "loop.checkpoint_steps=1")
    with start(*words) as process:
        assert process.wait() == 2
        *_, said = process.stderr.read().rstrip("\n").split("\n")
        assert re.fullmatch(r"halfbyte train: \S+: No space left on device", said)
    assert not (run / "last.safetensors").exists()
    assert not (run / "result").exists()


def test_a_device_is_written_as_it_is(halfbyte, onnx):
    assert halfbyte("compile", onnx, "-o", "/dev/null").status == 0
    assert Path("/dev/null").is_char_device()


def test_two_writers_leave_one_whole_file(onnx, old_model):
    """The last one wins; nobody sees a mixture."""
    threads = [
        threading.Thread(target=main, args=(["compile", str(onnx), "-o", str(old_model)],))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ModelFile(old_model)
    assert list(old_model.parent.iterdir()) == [old_model]
