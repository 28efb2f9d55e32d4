"""Training runs: resumed equals uninterrupted, several processes, start from a checkpoint."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from train.corpus import write_config, write_corpus

from halfbyte.cli import main
from halfbyte.train.checkpoint import load_checkpoint, save_checkpoint

NUM_KILLS = 2


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write_config(folder, write_corpus(folder / "corpus"))
    return folder


def start_training(workspace: Path, run: str, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "halfbyte", "train", str(workspace / "config.yaml")]
    command += ["--run", str(workspace / run), *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    )


def train(workspace: Path, run: str, *options: str) -> Path:
    process = start_training(workspace, run, *options)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert not re.search(r"[1-9]/\?", output)  # the bar knows how much is left
    return workspace / run / "result"


def weights(result: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(result / "weights.safetensors")


def kill_after_a_checkpoint(workspace: Path, run: str, later_s: float) -> None:
    """Starts a run and kills it a moment after it has written a checkpoint."""
    last = workspace / run / "last.ckpt"
    before = last.read_bytes() if last.exists() else b""
    process = start_training(workspace, run)
    deadline_s = time.monotonic() + 240
    while not last.exists() or last.read_bytes() == before:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    time.sleep(later_s)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope="module")
def uninterrupted(workspace) -> Path:
    return train(workspace, "uninterrupted")


def test_killed_and_resumed_equals_uninterrupted(workspace, uninterrupted):
    moments = random.Random(3)
    for _ in range(NUM_KILLS):
        kill_after_a_checkpoint(workspace, "killed", moments.uniform(0, 0.05))
        assert not (workspace / "killed" / "result").exists()
        for path in (workspace / "killed").glob("*.*pt"):
            torch.load(path, weights_only=False)  # whole
    resumed = weights(train(workspace, "killed"))
    lines = (workspace / "killed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1]
    for name, value in weights(uninterrupted).items():
        assert torch.equal(resumed[name], value), name


def test_another_model_into_the_folder_of_a_run_is_refused(workspace, uninterrupted, capsys):
    before = (workspace / "uninterrupted" / "config.yaml").read_bytes()
    words = ["train", str(workspace / "config.yaml"), "--run", str(uninterrupted.parent)]
    assert main([*words, "model.encoder.width=64"]) == 2
    assert "model.encoder.width=32, and 64 came" in capsys.readouterr().err
    assert (workspace / "uninterrupted" / "config.yaml").read_bytes() == before


def test_metrics_tell_quantised_errors_of_every_epoch(workspace, uninterrupted):
    lines = (workspace / "uninterrupted" / "metrics.jsonl").read_text().splitlines()
    metrics = [json.loads(line) for line in lines]
    assert [m["epoch"] for m in metrics] == [0, 1]
    assert all({"loss", "ctc", "dev_wer", "dev_sentences_right"} <= m.keys() for m in metrics)


def test_checkpoint_loads_and_restarts_from_half_precision(workspace, uninterrupted):
    config, tokenizer, model = load_checkpoint(uninterrupted)
    assert config.quantization.default == "w4a8"
    half = workspace / "half"
    save_checkpoint(half, config, tokenizer, model.state_dict(), half=True)
    result = train(workspace, "restarted", "--from", str(half), "loop.epochs=1")
    assert weights(result).keys() == weights(uninterrupted).keys()


def test_two_processes_train_one_model(workspace):
    result = train(workspace, "two", "loop.devices=2", "loop.epochs=1")
    assert load_checkpoint(result)[2].num_tokens > 3


def test_a_precision_that_cannot_be_trained_in_is_refused(workspace, capsys):
    words = ["train", str(workspace / "config.yaml"), "--run", str(workspace / "fp16")]
    assert main([*words, "loop.precision=16-mixed"]) == 2
    assert "loop.precision is 16-mixed; expected bf16-mixed or 32-true" in capsys.readouterr().err


def test_an_unknown_key_is_one_line_and_status_2(workspace):
    process = start_training(workspace, "mistake", "model.encoder.widht=3")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert output.strip().count("\n") == 0
    assert "model.encoder.widht" in output
    assert "'width'" in output
