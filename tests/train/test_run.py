"""Training runs: resumed equals uninterrupted, several processes, start from a checkpoint."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors
import safetensors.torch
import torch
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from train.corpus import write_config, write_corpus
from verbs import start

from halfbyte.cli import main
from halfbyte.train.checkpoint import WEIGHTS, load_checkpoint, save_checkpoint
from halfbyte.train.corpora import Corpora
from halfbyte.train.run_state import LAST, Position

NUM_KILLS = 2


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write_config(folder, write_corpus(folder / "corpus"))
    return folder


def start_training(workspace: Path, run: str, *options: str) -> subprocess.Popen:
    words = "train", workspace / "config.yaml", "--run", workspace / run, *options
    return start(*words, stderr=subprocess.STDOUT)


def train(workspace: Path, run: str, *options: str) -> Path:
    process = start_training(workspace, run, *options)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert re.search(r"epoch \d of \d, loss .*, \d:\d\d:\d\d left", output)
    return workspace / run / "result"


def weights(result: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(result / "weights.safetensors")


def kill_after_a_checkpoint(workspace: Path, run: str, later_s: float) -> None:
    """Starts a run and kills it a moment after it has written a checkpoint."""
    last = workspace / run / LAST
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
        for path in (workspace / "killed").glob("*.safetensors"):
            safetensors.torch.load_file(path)  # whole
    resumed = weights(train(workspace, "killed"))
    lines = (workspace / "killed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1]
    for name, value in weights(uninterrupted).items():
        assert torch.equal(resumed[name], value), name


def test_another_model_into_the_folder_of_a_run_is_refused(workspace, uninterrupted, capsys):
    before = (workspace / "uninterrupted" / "config.yaml").read_bytes()
    words = ["train", str(workspace / "config.yaml"), "--run", str(uninterrupted.parent)]
    assert main([*words, "model.encoder.width=64"]) == 2
    assert "model.encoder.width=32; this one has 64" in capsys.readouterr().err
    assert (workspace / "uninterrupted" / "config.yaml").read_bytes() == before


def test_metrics_tell_quantised_errors_of_every_epoch(workspace, uninterrupted):
    lines = (workspace / "uninterrupted" / "metrics.jsonl").read_text().splitlines()
    metrics = [json.loads(line) for line in lines]
    assert [m["epoch"] for m in metrics] == [0, 1]
    assert all({"loss", "ctc", "dev_wer", "dev_sentences_right"} <= m.keys() for m in metrics)


@pytest.mark.parametrize(
    ("stored", "share"), [(torch.float16, 0.55), (torch.int8, 0.4)], ids=["float16", "int8"]
)
def test_checkpoint_restarts_from_small_weights(workspace, uninterrupted, stored, share):
    config, tokenizer, model = load_checkpoint(uninterrupted)
    assert config.quantization.default == "w4a8"
    small = workspace / f"small-{share}"
    save_checkpoint(small, config, tokenizer, model.state_dict(), stored)
    size, whole = ((f / WEIGHTS).stat().st_size for f in (small, uninterrupted))
    assert size < share * whole
    again = load_checkpoint(small)[2].state_dict()
    for name, value in model.state_dict().items():
        error = (again[name] - value).abs().max() / value.abs().max().clamp_min(1e-3)
        assert error < (1 / 250 if stored == torch.int8 else 1e-3), name
    result = train(workspace, f"restarted-{share}", "--from", str(small), "loop.epochs=1")
    assert weights(result).keys() == weights(uninterrupted).keys()


def epochs(run: Path) -> list[int]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines]


def test_a_run_goes_on_with_another_number_of_processes(workspace):
    result = train(workspace, "changing", "loop.devices=2", "loop.epochs=1")
    assert load_checkpoint(result)[2].num_tokens > 3
    train(workspace, "changing", "loop.devices=1", "loop.epochs=2")
    train(workspace, "changing", "loop.devices=2", "loop.epochs=3")
    assert epochs(workspace / "changing") == [0, 1, 2]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "int"]
)
def test_a_signal_ends_a_run_with_a_line_and_it_goes_on(workspace, uninterrupted, number, status):
    run = workspace / number.name
    process = start_training(workspace, run.name, "loop.checkpoint_steps=1")
    deadline_s = time.monotonic() + 240
    while not (run / LAST).exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status
    assert f"stopped; {run} holds the run: the same command continues" in output
    assert "Traceback" not in output
    for name, value in weights(train(workspace, run.name)).items():
        assert torch.equal(weights(uninterrupted)[name], value), name


def refused(workspace: Path, capsys, *words: str) -> str:
    """The one line that training says."""
    assert main(["train", str(workspace / "config.yaml"), "--run", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.fixture
def copied(uninterrupted, tmp_path) -> Path:
    """A run whose files a test may change."""
    return Path(shutil.copytree(uninterrupted.parent, tmp_path / "run"))


def test_other_data_in_the_folder_of_a_run_are_refused(workspace, copied, capsys):
    lines = (workspace / "corpus" / "train.jsonl").read_text().splitlines()
    (workspace / "corpus" / "few.jsonl").write_text("\n".join(lines[:12]))
    said = refused(workspace, capsys, str(copied), "data.train=[few.jsonl]")
    assert "data.train had 18 utterances, now 12" in said
    other = lines[0].replace('"text": "', '"text": "low ')
    (workspace / "corpus" / "other.jsonl").write_text("\n".join([other, *lines[1:]]))
    said = refused(workspace, capsys, str(copied), "data.dev=[other.jsonl]")
    assert "data.dev had other ones" in said


def test_a_text_too_long_for_its_audio_is_left_out(workspace, uninterrupted, tmp_path, capsys):
    lines = (workspace / "corpus" / "train.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    long = {**first, "id": "long", "text": " ".join(["high"] * 20)}
    (workspace / "corpus" / "long.jsonl").write_text("\n".join([*lines, json.dumps(long)]))
    words = ["train", str(workspace / "config.yaml"), "--run", str(tmp_path / "run")]
    assert main([*words, "data.train=[long.jsonl]", "loop.epochs=1"]) == 0
    said = capsys.readouterr().err
    assert re.search(r"left out 1 utterances .* the first: long \('high .* are needed", said)
    with_it, without = (
        json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])["step"]
        for folder in (tmp_path / "run", workspace / "uninterrupted")
    )
    assert with_it == without


def test_nothing_but_texts_too_long_is_a_mistake(workspace, tmp_path, capsys):
    line = json.loads((workspace / "corpus" / "train.jsonl").read_text().splitlines()[0])
    line["text"] = " ".join(["high"] * 20)
    (workspace / "corpus" / "longest.jsonl").write_text(json.dumps(line))
    words = ["train", str(workspace / "config.yaml"), "--run", str(tmp_path / "run")]
    assert main([*words, "data.train=[longest.jsonl]", "tokens.size=8"]) == 2
    said = capsys.readouterr().err
    assert "nothing to train on: all 1 utterances of data.train are too short" in said


def test_export_takes_the_result_of_a_run(workspace, uninterrupted, tmp_path, capsys):
    assert main(["export", str(uninterrupted.parent), "-o", str(tmp_path / "onnx")]) == 0
    assert (tmp_path / "onnx" / "model.json").is_file()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").touch()
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "none")]) == 2
    assert "a run that has not ended: `halfbyte train` goes on" in capsys.readouterr().err


def test_eval_of_a_run_needs_the_extra_train_only(workspace, uninterrupted):
    """Not what the extras test, data, serve and bench bring."""
    others = ["onnxruntime", "pytest", "hypothesis", "lhotse", "pyarrow", "matplotlib", "aiohttp"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({others}))\n"
        "from halfbyte.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    manifest = workspace / "corpus" / "train.jsonl"
    command = [sys.executable, "-c", code, "eval", str(uninterrupted.parent), str(manifest)]
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("word", ["seed=7", "data.batch_s=3.0", "optimizer.peak_rate=0.1"])
def test_another_configuration_in_the_folder_of_a_run_is_refused(workspace, copied, capsys, word):
    key, _, value = word.partition("=")
    assert re.search(
        rf"{key}=\S+; this one has {value}", refused(workspace, capsys, str(copied), word)
    )


def test_two_trainings_do_not_share_a_folder(workspace, copied, capsys):
    with FileLock(copied / ".lock"):
        assert f"another training runs in {copied}" in refused(workspace, capsys, str(copied))


def test_a_mistake_leaves_no_folder(workspace, tmp_path, capsys):
    refused(workspace, capsys, str(tmp_path / "run"), "data.train=[gone.jsonl]")
    assert list(tmp_path.iterdir()) == []


class Runs:
    """Writes a file where it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("name", [LAST, "epoch-0001.safetensors"])
def test_files_of_a_foreign_run_run_nothing(workspace, copied, capsys, tmp_path, name):
    marker = tmp_path / "marker"
    torch.save({"state_dict": Runs(marker)}, copied / name)
    torch.save({"state_dict": Runs(marker)}, copied / "last.ckpt")
    assert f"{copied / name} is damaged" in refused(workspace, capsys, str(copied))
    assert not marker.exists()


def rewritten(path: Path, change) -> None:
    """Change the plain values of a run's state, and its tensors."""
    with safetensors.safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["run"])
    tensors = safetensors.torch.load_file(path)
    change(facts, tensors)
    safetensors.torch.save_file(tensors, path, {"run": json.dumps(facts)})


EXP_AVG = "moment.exp_avg.ctc.bias"
DAMAGES = {
    "empty": lambda facts, tensors: facts.clear(),
    "position": lambda facts, tensors: facts["position"].update(epoch=-1),
    "beyond": lambda facts, tensors: facts["position"].update(epoch=1, utterances=10**9),
    "within a batch": lambda facts, tensors: facts["position"].update(epoch=1, utterances=1),
    "no data": lambda facts, tensors: facts.update(data=[]),
    "weight": lambda facts, tensors: tensors.popitem(),
    "weight's shape": lambda facts, tensors: tensors.update({"weight.ctc.bias": torch.ones(3)}),
    "moment's shape": lambda facts, tensors: tensors.update({EXP_AVG: torch.ones(3)}),
    "moment alone": lambda facts, tensors: tensors.pop("moment.step.ctc.bias"),
    "moment of nothing": lambda facts, tensors: tensors.update({"moment.step.x": torch.ones(())}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_one_line(workspace, copied, capsys, damage):
    rewritten(copied / LAST, DAMAGES[damage])
    assert LAST in refused(workspace, capsys, str(copied), "loop.epochs=3")


@pytest.mark.parametrize("name", [LAST, "epoch-0000.safetensors", "metrics.jsonl"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"[3]\n", b'{"step": 1}\n'])
def test_a_damaged_file_of_a_run_is_one_line(workspace, copied, capsys, name, content):
    (copied / name).write_bytes(content or b"\0" * 9)
    assert name in refused(workspace, capsys, str(copied))


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 30))
def test_a_position_means_the_same_on_any_number_of_processes(few, more, num_steps):
    batches = [[i] * (1 + i % 3) for i in range(20)]
    num_steps = min(num_steps, 19 // few)
    before, after = corpora_of(batches, few), corpora_of(batches, more)
    heard = before.train_dataloader()[: num_steps * few]
    after.start = before.position(num_steps)
    assert heard + after.train_dataloader() == batches


def corpora_of(batches: list[list[int]], world_size: int) -> Corpora:
    """Corpora whose loader is the batches that all processes together have left."""
    corpora = Corpora.__new__(Corpora)
    corpora.trainer = SimpleNamespace(current_epoch=0, world_size=world_size)
    corpora.start = Position()
    corpora._batches = lambda corpus, epoch: batches
    corpora._train = None
    corpora._loader = lambda corpus, left, epoch, equal_steps: left
    return corpora


def test_a_precision_that_cannot_be_trained_in_is_refused(workspace, capsys):
    words = ["train", str(workspace / "config.yaml"), "--run", str(workspace / "fp16")]
    assert main([*words, "loop.precision=16-mixed"]) == 2
    said = capsys.readouterr().err
    assert "loop.precision is 16-mixed; expected auto, bf16-mixed or 32-true" in said


def test_an_unknown_key_is_one_line_and_status_2(workspace):
    process = start_training(workspace, "mistake", "model.encoder.widht=3")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert output.strip().count("\n") == 0
    assert "model.encoder.widht" in output
    assert "'width'" in output
