"""A family from elsewhere, with no file changed for it: trained, deployed, streamed, quantised."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import verbs
from onnx_graphs import as_array
from paths import GOLDEN, ROOT
from toy.frame_detector import FAMILY
from train.corpus import RATE_HZ, WORDS

from halfbyte.data.audio import read_audio
from halfbyte.data.fbank import log_mel
from halfbyte.engine import ModelFile, Session
from halfbyte.errors import ConfigError
from halfbyte.train.checkpoint import build_model, load_checkpoint, start_from


def weights(folder: Path) -> dict:
    return safetensors.torch.load_file(folder / "result" / "weights.safetensors")


def test_stages_follow_each_other(work, halfbyte):
    first, second = weights(work / "run" / "float"), weights(work / "run" / "head")
    assert first["inner.weight"].equal(second["inner.weight"])  # not trained by the second
    assert not first["head.weight"].equal(second["head.weight"])
    config, vocabulary, _ = load_checkpoint(work / "run" / "result")
    assert (config.quantization.default, config.loop.epochs) == ("w4a8", 1)
    assert vocabulary.tokens == ["<nothing>", *sorted(WORDS)]
    last = (work / "run" / "head" / "metrics.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["dev_precision"] > 0.9
    assert json.loads(last)["dev_recall"] > 0.8
    # The same command goes on: here there is nothing left to do.
    before = (work / "run" / "float" / "last.safetensors").stat().st_mtime_ns
    assert halfbyte("train", work / "config.yaml", "--run", work / "run").status == 0
    assert (work / "run" / "float" / "last.safetensors").stat().st_mtime_ns == before


def test_the_file_streams_as_the_training_graph_hears(work):
    file = ModelFile(work / "toy.hb")
    assert (file.metadata["family"], file.metadata["graphs"]) == (
        "toy.frame_detector",
        ["detector"],
    )
    config, _, model = load_checkpoint(work / "run" / "result")
    features = log_mel(read_audio(work / "0.wav", RATE_HZ), config.features)[None].numpy()
    whole = in_chunks(file, features, features.shape[1])
    for num_frames in (1, 7):
        np.testing.assert_array_equal(in_chunks(file, features, num_frames), whole)
    spec = FAMILY.graphs(model)["detector"]
    expected = spec.run({"features": torch.from_numpy(features)})["scores"].numpy()
    np.testing.assert_allclose(whole, expected, atol=1e-4)


def in_chunks(file: ModelFile, features: np.ndarray, num_frames: int) -> np.ndarray:
    session, state, scores = Session(file, "detector"), {}, []
    for start in range(0, features.shape[1], num_frames):
        chunk = np.ascontiguousarray(features[:, start : start + num_frames])
        outputs = {n: as_array(t) for n, t in session.run({"features": chunk, **state}).items()}
        state = {"state.memory": outputs["next.memory"].copy()}
        scores.append(outputs["scores"].copy())
    return np.concatenate(scores, axis=1)


def test_what_is_deployed_is_what_was_trained(work, halfbyte):
    done = halfbyte("info", work / "toy.hb", "--verify", work / "run", "--json")
    assert done.status == 0, done
    layers = json.loads(done.out)["layers"]
    assert [(layer["name"], layer["number_format"]) for layer in layers] == [
        ("inner", "w4a8"),
        ("head", "w4a8"),
    ]
    done = halfbyte("info", work / "toy.hb", "--json")
    assert json.loads(done.out)["test_vector"]["scores"] < 1e-4


def test_its_own_figures_are_evaluated(work, halfbyte):
    words = ("eval", work / "run" / "result", work / "train.jsonl", "--json")
    done = halfbyte(*words)
    assert done.status == 0, done
    assert json.loads(done.out)["precision"] > 0.9


def test_it_is_quantised_without_training(work, halfbyte):
    manifest = work / "train.jsonl"
    source = work / "run" / "float" / "result"
    done = halfbyte("quantize", source, "-o", work / "ptq", "--calibration", manifest)
    assert done.status == 0, done
    assert halfbyte("info", "--verify", work / "ptq").status == 0
    done = halfbyte("eval", work / "ptq", manifest, "--json")
    assert json.loads(done.out)["precision"] > 0.8
    out = work / "sensitivity"
    done = halfbyte("bench", "sensitivity", source, manifest, "-o", out, "--utterances", "4")
    assert done.status == 0, done
    lines = [json.loads(x) for x in (out / "sensitivity.jsonl").read_text().splitlines()]
    assert {"inner", "head"} == {line["layer"] for line in lines if "layer" in line}
    assert all("precision" in line for line in lines if "map" in line)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "model.encoder.width=3",
            "model.encoder belongs to family transducer and u2; family toy.frame_detector ",
        ),
        ("model.widht=3", "unknown configuration key 'model.widht'; did you mean 'width'?"),
        (
            "family=u3",
            "family is 'u3'; expected one of keyword, transducer, u2, or package.module of your",
        ),
        ("family=toy.nowhere", "family is 'toy.nowhere', and there is no module toy.nowhere"),
        ("family=train.corpus", "that module has no Family named FAMILY"),
    ],
)
def test_mistakes(work, halfbyte, word, said):
    done = halfbyte("train", work / "config.yaml", "--run", work / "refused", word)
    assert done.is_mistake(), done
    assert said in done.err
    assert not (work / "refused").exists()


def test_a_manifest_without_intervals(work, halfbyte, tmp_path):
    line = {"audio_filepath": str(work / "0.wav"), "duration": 1.0, "text": "low"}
    (tmp_path / "texts.jsonl").write_text(json.dumps(line) + "\n")
    words = (f"data.root={tmp_path}", "data.train=[texts.jsonl]")
    done = halfbyte("train", work / "config.yaml", "--run", tmp_path / "run", *words)
    assert done.is_mistake(), done
    assert "texts.jsonl line 1: key 'intervals' is missing" in done.err


def test_a_teacher_of_another_family_is_refused(work, halfbyte):
    words = (f"distillation.teacher={GOLDEN / 'tones-mixed'}",)
    done = halfbyte("train", work / "config.yaml", "--run", work / "refused", *words)
    assert done.is_mistake(), done
    assert "is of family u2; the run is of family toy.frame_detector" in done.err


def test_it_learns_from_a_teacher(work, halfbyte):
    words = (f"distillation.teacher={work / 'run' / 'result'}", "loop.epochs=1")
    done = halfbyte("train", work / "config.yaml", "--run", work / "taught", *words)
    assert done.status == 0, done
    lines = (work / "taught" / "float" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["divergence"] > 0


def test_two_processes_train_its_stages(work):
    words = ("train", work / "config.yaml", "--run", work / "two")
    finds_toy = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    process = verbs.start(*words, "loop.devices=2", "loop.epochs=2", env=finds_toy)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    first, second = weights(work / "two" / "float"), weights(work / "two" / "head")
    assert first["inner.weight"].equal(second["inner.weight"])
    assert not first["head.weight"].equal(second["head.weight"])
    ended = weights(work / "two")
    assert all(ended[name].equal(weight) for name, weight in second.items())


def test_a_stage_takes_what_its_patterns_name(work):
    config, vocabulary, trained = load_checkpoint(work / "run" / "result")
    fresh = build_model(config, vocabulary)
    head = fresh.head.weight.clone()
    assert start_from(fresh, work / "run" / "result", ("inner.*", "feature_norm.*")) == ""
    assert fresh.inner.weight.equal(trained.inner.weight)
    assert fresh.head.weight.equal(head)
    with pytest.raises(ConfigError, match=r"none of the weights in .* fits the configuration"):
        start_from(fresh, GOLDEN / "tones-mixed")
