"""Post-training quantisation, distillation and the check of what is deployed."""

import dataclasses
import json
import re

import numpy as np
import pytest
import soundfile
import torch
from export.models import made_up_tokenizer, random_model
from onnx_graphs import as_array
from train.corpus import RATE_HZ, write_config, write_corpus

from halfbyte.data.audio import read_audio
from halfbyte.data.fbank import log_mel
from halfbyte.data.manifest import read_manifest
from halfbyte.engine import ModelFile, Session, State
from halfbyte.errors import ConfigError
from halfbyte.export.onnx_model import compile_folder, export
from halfbyte.families.u2.divergence import divergence
from halfbyte.families.u2.model import LogProbs
from halfbyte.ops.native import native_layers
from halfbyte.quant.observers import MeanSquare
from halfbyte.quant.ranges import Range
from halfbyte.train.checkpoint import build_model, load_checkpoint, save_checkpoint
from halfbyte.train.config import DistillationConfig, load_config
from halfbyte.train.distillation import read_teacher
from halfbyte.train.post_training import record_inputs


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A corpus, and a float32 checkpoint of random weights beside it."""
    folder = tmp_path_factory.mktemp("post-training")
    corpus = write_corpus(folder / "corpus", num_utterances=4)
    config = load_config(write_config(folder, corpus), ["quantization.default=float32"])
    tokenizer, model = random_model(config, 40)
    save_checkpoint(folder / "float", config, tokenizer, model.state_dict())
    return folder


def quantize(halfbyte, work, name: str, *words: str):
    manifest = work / "corpus" / "train.jsonl"
    return halfbyte(
        "quantize", work / "float", "-o", work / name, "--calibration", manifest, *words
    )


def test_minmax_is_absmax(halfbyte, work):
    assert quantize(halfbyte, work, "minmax", "--observer", "minmax").status == 0
    config, tokenizer, model = load_checkpoint(work / "minmax")
    assert (config.quantization.default, config.quantization.weights) == ("w4a8", "lsq")
    config.quantization.weights = "absmax"
    plain = build_model(config, tokenizer)
    plain.load_state_dict(load_checkpoint(work / "float")[2].state_dict())
    others = native_layers(plain)
    for name, layer in native_layers(model).items():
        assert torch.equal(layer.quantized_weight().codes, others[name].quantized_weight().codes)


def test_mse_has_less_error_in_every_layer_on_what_it_heard(halfbyte, work):
    two_bits = "quantization.default=w2a8"
    assert quantize(halfbyte, work, "mse", two_bits).status == 0
    assert quantize(halfbyte, work, "range", two_bits, "--observer", "minmax").status == 0
    config, tokenizer, model = load_checkpoint(work / "float")
    utterances = read_manifest(work / "corpus" / "train.jsonl")
    samples = record_inputs(model, tokenizer, config, utterances)

    def errors(name: str) -> dict[str, float]:
        layers = native_layers(load_checkpoint(work / name)[2])
        return {
            n: float((sample.mean_squares * _rounding(layers[n]).square()).sum())
            for n, sample in samples.items()
        }

    by_mse, by_range = errors("mse"), errors("range")
    assert by_mse.keys() == by_range.keys()
    assert all(by_mse[n] <= by_range[n] * (1 + 1e-6) for n in by_mse)
    assert sum(by_mse.values()) < 0.9 * sum(by_range.values())


def _rounding(layer: torch.nn.Module) -> torch.Tensor:
    return layer.quantized_weight().dequantize() - layer.weight.detach()


@pytest.mark.parametrize("method", ["lsq", "moving_average", "pact", "power_of_two"])
def test_activations_may_be_static(halfbyte, work, method):
    assert quantize(halfbyte, work, method, f"quantization.activations={method}").status == 0
    config, tokenizer, model = load_checkpoint(work / "float")
    utterances = read_manifest(work / "corpus" / "train.jsonl")
    samples = record_inputs(model, tokenizer, config, utterances)
    layers = native_layers(load_checkpoint(work / method)[2])
    for name, sample in samples.items():
        values = sample.values[None]
        error = layers[name].activation_quantizer.quantize(values).dequantize() - values
        # A power of two may lie a factor of 1.41 off the best step, and then clips outliers.
        bound = 0.05 if method == "power_of_two" else 0.01
        assert error.square().mean() < bound * values.square().mean(), name


def test_an_integer_only_model_without_training(halfbyte, work):
    words = ["quantization.arithmetic=integer", "quantization.default=w8a8"]
    assert quantize(halfbyte, work, "integer", *words).status == 0
    export(work / "integer", work / "integer-onnx")
    compile_folder(work / "integer-onnx", work / "integer.hb")
    file = ModelFile(work / "integer.hb")
    assert file.audit().floating == []
    config, _, model = load_checkpoint(work / "integer")
    _, _, float_model = load_checkpoint(work / "float")
    session = Session(file)
    for utterance in read_manifest(work / "corpus" / "train.jsonl"):
        features = log_mel(read_audio(utterance.audio_path, RATE_HZ), config.features)[None]
        with torch.no_grad():
            real, _ = float_model.encoder(features, torch.tensor([features.shape[1]]))
            encoded, _, _ = model.step(features, model.encoder.initial_state(1, 0))
        outputs = session.run({"features": features.numpy()}, State(file, left_context_steps=0))
        np.testing.assert_array_equal(as_array(outputs["encoder_out"]), encoded.numpy())
        assert (encoded - real).square().mean() < 0.1 * real.square().mean()


def test_observers_choose_ranges_of_integer_only_models(halfbyte, work):
    widths = {}
    for observer in ("minmax", "percentile"):
        words = ["quantization.arithmetic=integer", "--observer", observer]
        assert quantize(halfbyte, work, f"integer-{observer}", *words).status == 0
        _, _, model = load_checkpoint(work / f"integer-{observer}")
        widths[observer] = [float(m.amax) for m in model.modules() if isinstance(m, Range)]
    pairs = list(zip(widths["percentile"], widths["minmax"], strict=True))
    assert sum(narrow < wide for narrow, wide in pairs) > len(pairs) / 2


def test_observer_weighs_inputs():
    weight = torch.tensor([[[1.0, 0.26, 0.26, 0.26]]])
    plain = MeanSquare().scales(weight, 2)
    weighed = MeanSquare().scales(weight, 2, torch.tensor([0.0, 1.0, 1.0, 1.0]))
    assert weighed.item() == pytest.approx(0.26, rel=0.05)
    assert plain.item() > 0.6


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["quantization.default=w9a8"], "quantization.default is 'w9a8'; expected one of float32"),
        (["quantization.layers={ctc: w0a8}"], "quantization.layers.ctc is 'w0a8'"),
        (["quantization.weights=absmax"], "--observer chooses the scales of weights"),
        (["quantization.activations=magic"], "quantization.activations is 'magic'"),
        (["quantization.default=float32"], "every layer stays float32"),
        (["quantization.layers={encodr.*: w8a8}"], "'encodr.*' matches no layer"),
        (["optimizer.peak_rate=1"], "only keys of quantization"),
        (["--observer", "entropy"], "minmax, percentile, mse"),
        (["--utterances", "0"], "0 utterances were asked for"),
    ],
)
def test_mistakes(halfbyte, work, words, named):
    done = quantize(halfbyte, work, "mistake", *words)
    assert done.is_mistake(), done
    assert named in done.err


def test_the_float_model_is_not_overwritten(halfbyte, work):
    before = (work / "float" / "config.yaml").read_bytes()
    done = quantize(halfbyte, work, "float")
    assert done.is_mistake(), done
    assert "is the float32 model itself; name another folder" in done.err
    assert (work / "float" / "config.yaml").read_bytes() == before


def test_silence_is_nothing_to_calibrate_with(halfbyte, work, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE_HZ), RATE_HZ)
    line = {"audio_filepath": "a.wav", "text": "", "duration": 1.0}
    (tmp_path / "silent.jsonl").write_text(json.dumps(line) + "\n")
    done = halfbyte(
        "quantize", work / "float", "-o", tmp_path, "--calibration", tmp_path / "silent.jsonl"
    )
    assert done.is_mistake(), done
    assert "calibration audio is silent" in done.err


def test_a_quantised_checkpoint_is_not_quantised_again(halfbyte, work):
    assert quantize(halfbyte, work, "once").status == 0
    manifest = work / "corpus" / "train.jsonl"
    done = halfbyte("quantize", work / "once", "-o", work / "twice", "--calibration", manifest)
    assert done.is_mistake()
    assert "trained as w4a8" in done.err


def test_deployed_layers_equal_the_trained_ones_and_others_do_not(halfbyte, work, tmp_path):
    layers = "quantization.layers={'*.expand': w8a8, '*.contract': w2a8, ctc: w4a32}"
    assert quantize(halfbyte, work, "mixed", layers).status == 0
    export(work / "mixed", tmp_path / "onnx")
    compile_folder(tmp_path / "onnx", tmp_path / "m.hb")
    done = halfbyte("info", tmp_path / "m.hb", "--verify", work / "mixed", "--json")
    assert done.status == 0, done
    checks = {check["name"]: check for check in json.loads(done.out)["layers"]}
    assert checks["ctc"]["number_format"] == "w4a32"
    assert checks["encoder.layers.0.feed_forward.expand"]["bits_per_weight"] > 8
    assert halfbyte("info", tmp_path / "m.hb", "--verify", work / "mixed").status == 0

    assert quantize(halfbyte, work, "other", layers, "--observer", "minmax").status == 0
    done = halfbyte("info", tmp_path / "m.hb", "--verify", work / "other")
    assert done.is_mistake(), done
    assert "is not the trained one" in done.err
    done = halfbyte("info", "--verify", tmp_path)
    assert done.is_mistake(), done
    assert "neither a checkpoint nor a run" in done.err


def test_what_was_trained_in_float_is_not_verified(halfbyte, work, tmp_path):
    done = halfbyte("info", "--verify", work / "float")
    assert done.is_mistake(), done
    assert "has no quantised layer" in done.err
    assert quantize(halfbyte, work, "all").status == 0
    assert quantize(halfbyte, work, "fewer", "quantization.layers={ctc: float32}").status == 0
    export(work / "all", tmp_path / "onnx")
    compile_folder(tmp_path / "onnx", tmp_path / "all.hb")
    done = halfbyte("info", tmp_path / "all.hb", "--verify", work / "fewer")
    assert done.is_mistake(), done
    assert "layer ctc is quantised and was not trained so" in done.err


@pytest.mark.parametrize(
    ("start", "words", "named"),
    [
        ("none", [], "none is no checkpoint: config.yaml is missing"),
        ("run", [], "run is no checkpoint: tokenizer.model is missing"),
        ("float", ["quantization.default=w9a8"], "quantization.default is 'w9a8'"),
        ("float", ["quantization.layers={encodr.*: w8a8}"], "matches no layer"),
        ("float", ["distillation.teacher=nowhere"], "nowhere is no checkpoint"),
    ],
)
def test_a_refused_run_leaves_nothing_behind(halfbyte, work, start, words, named):
    (work / "run" / "result").mkdir(parents=True, exist_ok=True)
    (work / "run" / "config.yaml").write_text("family: u2")
    done = halfbyte(
        "train", work / "config.yaml", "--run", work / "refused", "--from", work / start, *words
    )
    assert done.is_mistake(), done
    assert named in done.err
    assert len(done.err) < 400
    assert not (work / "refused").exists()


def test_divergence_by_hand():
    half = torch.tensor([[[0.5, 0.5], [0.5, 0.5]]]).log()
    sure = torch.tensor([[[0.9, 0.1], [0.5, 0.5]]]).log()
    labels = torch.tensor([[1, -1]])
    student = LogProbs(half, torch.tensor([1]), half, labels)
    teacher = LogProbs(sure, torch.tensor([1]), sure, labels)
    kl = 0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5)  # of one step, and of one label
    assert divergence(student, teacher, 0.3).total.item() == pytest.approx(kl, rel=1e-5)
    assert divergence(teacher, teacher, 0.3).total.item() == 0
    torch_kl = torch.nn.functional.kl_div(half[:, 0], sure[:, 0].exp(), reduction="batchmean")
    assert torch_kl.item() == pytest.approx(kl, rel=1e-5)


def test_mistakes_of_distillation(work):
    config, tokenizer, _ = load_checkpoint(work / "float")

    def teacher(name: str, weight: float = 0.5, known=tokenizer):
        taught = DistillationConfig(str(work / name) if name else "", weight)
        return read_teacher(dataclasses.replace(config, distillation=taught), known)

    assert teacher("") is None
    with pytest.raises(ConfigError, match=r"distillation.weight is 1.5"):
        teacher("float", 1.5)
    with pytest.raises(ConfigError, match="is no checkpoint"):
        teacher("none")
    with pytest.raises(ConfigError, match="has other tokens"):
        teacher("float", known=made_up_tokenizer(44))
    assert teacher("float") is not None


def test_starting_from_another_size_takes_what_fits_and_says_what_did_not(halfbyte, work):
    done = halfbyte(
        "train", work / "config.yaml", "--run", work / "narrower", "--from", work / "float",
        "model.encoder.feed_forward=40", "loop.epochs=1", "data.dev=[]",
    )  # fmt: skip
    assert done.status == 0, done
    (line,) = (line for line in done.err.splitlines() if "left out" in line)
    assert re.search(r"\d+ weights taken; left out: .*feed_forward.* is \[48.*expected \[40", line)
    assert re.search(r", and \d+ more$", line)


def test_fine_tuning_with_a_teacher_and_learned_steps(halfbyte, work):
    done = halfbyte(
        "train", work / "config.yaml", "--run", work / "tuned", "--from", work / "float",
        f"distillation.teacher={work / 'float'}", "quantization.weights=lsq", "loop.epochs=1",
        "data.dev=[]",
    )  # fmt: skip
    assert done.status == 0, done
    layers = native_layers(load_checkpoint(work / "tuned" / "result")[2])
    steps = [layer.weight_quantizer.scales() for layer in layers.values()]
    assert all((step > 0).all() for step in steps)
