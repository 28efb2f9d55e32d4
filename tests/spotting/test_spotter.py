"""The family from training to the device: both stages, all verbs, the same bits everywhere."""

import json

import numpy as np
import pytest
import torch
from onnx_graphs import as_array
from spotting.conftest import write_config
from train.corpus import RATE_HZ

from halfbyte import Detection, Endpoint, Recognizer, StreamOptions
from halfbyte.data.audio import read_audio
from halfbyte.data.fbank import FeatureConfig, log_mel
from halfbyte.data.frames import Labels
from halfbyte.engine import ModelFile, Session
from halfbyte.families.family import Inputs
from halfbyte.families.keyword import FAMILY
from halfbyte.families.keyword.config import KeywordConfig
from halfbyte.ops.native import native_layers
from halfbyte.train.checkpoint import load_checkpoint

COMMANDS = ["<nothing>", *(f"word{i}" for i in range(20))]


def fresh(config: KeywordConfig | None = None):
    inputs = Inputs(FeatureConfig(num_mel_bins=40), Labels(COMMANDS))
    return FAMILY.build(config or KeywordConfig(), inputs)


def test_size():
    assert sum(p.numel() for p in fresh().parameters()) == pytest.approx(250_000, rel=0.05)


def test_scores_depend_on_the_window_alone():
    model = fresh().eval()
    kept = sum(block.num_kept for block in model.network.blocks) + model.config.smoothing_steps - 1
    steps = kept + 5
    x = torch.randn(1, 2 * steps, 40, generator=torch.Generator().manual_seed(1))
    other = x.clone()
    other[:, : 2 * (steps - kept - 1)] += 100
    with torch.no_grad():
        a, b = model.scores(x), model.scores(other)
    torch.testing.assert_close(a[:, -1], b[:, -1])
    assert not torch.equal(a[:, -2], b[:, -2])


def codes(folder):
    _, _, model = load_checkpoint(folder / "result")
    return {name: layer.quantized_weight().codes for name, layer in native_layers(model).items()}


def test_the_second_stage_leaves_the_codes_alone(work):
    first, second = codes(work / "run" / "weights"), codes(work / "run" / "activations")
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].equal(second[name]), name
    before, _, _ = load_checkpoint(work / "run" / "weights" / "result")
    after, _, _ = load_checkpoint(work / "run" / "result")
    assert (before.quantization.weights, before.quantization.arithmetic) == ("absmax", "dynamic")
    assert (after.quantization.default, after.quantization.arithmetic) == ("w4a8", "integer")


def test_the_second_stage_trains_norms(work):
    models = [
        load_checkpoint(work / "run" / part / "result")[2] for part in ("weights", "activations")
    ]
    norms = [model.network.entry.product.norm.weight for model in models]
    assert not norms[0].equal(norms[1])


def test_the_file_gives_the_bits_of_the_training_graph(work):
    config, _, model = load_checkpoint(work / "run" / "result")
    samples = np.concatenate([read_audio(work / f"{i}.wav", RATE_HZ) for i in range(3)])
    features = log_mel(samples, config.features)
    features = features[None, : len(features) // 2 * 2].numpy()
    expected = FAMILY.graphs(model)["spotter"].run({"features": torch.from_numpy(features)})
    file = ModelFile(work / "tones.hb")
    for num_frames in (2, 10, features.shape[1]):
        session, state, found = Session(file, "spotter"), {}, []
        for start in range(0, features.shape[1], num_frames):
            chunk = np.ascontiguousarray(features[:, start : start + num_frames])
            results = {n: as_array(v) for n, v in session.run({"features": chunk, **state}).items()}
            state = {n.replace("next.", "state."): v for n, v in results.items() if n != "logits"}
            found.append(results["logits"])
        np.testing.assert_array_equal(np.concatenate(found, axis=1), expected["logits"].numpy())


def test_no_float_operator_stands_between_features_and_logits(work):
    file = ModelFile(work / "tones.hb")
    computing = {node.op for node in file.nodes("spotter")}
    assert not computing & {"Linear", "LinearFloat", "MatMul", "Relu", "Sigmoid", "Cast"}
    assert {"QuantizeFeatures", "IntLinearCodes", "IntLinearWide", "Dequantize"} <= computing


def test_info_verifies_the_file(work, halfbyte):
    done = halfbyte("info", work / "tones.hb", "--verify", work / "run")
    assert done.status == 0, done


def test_its_words_are_detected_where_they_are(work):
    recognizer = Recognizer(work / "tones.hb")
    num_words = num_found = 0
    for line in (work / "train.jsonl").read_text().splitlines():
        entry = json.loads(line)
        stream = recognizer.stream()
        samples = read_audio(work / entry["audio_filepath"], RATE_HZ)
        found = [e for e in stream.accept(samples) + stream.finish() if isinstance(e, Detection)]
        for word in entry["intervals"]:
            num_words += 1
            num_found += any(
                e.label == word["label"] and word["start"] < e.time_s < word["end"] + 0.3
                for e in found
            )
    assert num_found > 0.8 * num_words


@pytest.mark.parametrize("num_frames", [40, 41])
def test_the_last_frames_of_a_stream_may_make_no_step(work, num_frames):
    stream = Recognizer(work / "tones.hb").stream(min_score=0.0)
    hop, window = RATE_HZ // 100, RATE_HZ // 40
    stream.accept(np.zeros(window + hop * (num_frames - 1), np.float32))
    assert stream.finish()[-1] == Endpoint("finish", 0.4)


def test_detect_prints_one_line_an_event(work, halfbyte):
    done = halfbyte("detect", work / "tones.hb", work / "0.wav", work / "1.wav", "--json")
    assert done.status == 0, done
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert lines
    assert all(list(line) == ["file", "time", "score", "keyword"] for line in lines)
    every = halfbyte("detect", work / "tones.hb", work / "0.wav", "--json", "--min-score", "0")
    all_lines = [json.loads(line) for line in every.out.splitlines()]
    first = [line for line in lines if line["file"] == str(work / "0.wav")]
    assert len(all_lines) >= len(first)
    assert all(line in all_lines for line in first)
    plain = halfbyte("detect", work / "tones.hb", work / "0.wav")
    assert len(plain.out.splitlines()) == len(first)


@pytest.mark.parametrize("model", ["tones.hb", "run/result", "onnx"])
def test_eval_gives_curves(work, halfbyte, tmp_path, model):
    done = halfbyte(
        *("eval", work / model, work / "train.jsonl", "--negatives", work / "others.jsonl"),
        *("--json", "--plot", tmp_path / "det.png", "--curves", tmp_path / "det.json"),
    )
    assert done.status == 0, done
    result = json.loads(done.out)
    assert result["recordings"] == 13
    assert set(result["keywords"]) == {"low", "mid", "high"}
    low = result["keywords"]["low"]
    assert low["own"]["threshold"] == 0.5
    assert low["least_rate"] == pytest.approx(3 / low["hours"], rel=0.15)
    assert (tmp_path / "det.png").stat().st_size > 1000
    points = json.loads((tmp_path / "det.json").read_text())["low"]
    assert [p[1] for p in points] == sorted(p[1] for p in points)
    assert [p[2] for p in points] == sorted((p[2] for p in points), reverse=True)


def test_it_is_quantised_without_training(work, halfbyte):
    words = ("model.num_stages=1", "quantization.default=float32", "quantization.weights=absmax")
    run = ("train", work / "config.yaml", "--run", work / "float", "loop.epochs=6", *words)
    assert halfbyte(*run).status == 0
    source = work / "float" / "result"
    done = halfbyte(
        *("quantize", source, "-o", work / "ptq", "--calibration", work / "train.jsonl"),
        "quantization.arithmetic=integer",
    )
    assert done.status == 0, done
    assert halfbyte("info", "--verify", work / "ptq").status == 0


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model.keywords=[low, lamp]", "keyword 'lamp' has no recordings in data.train; labels"),
        ("model.threshold=1.5", "the threshold threshold is 1.5; expected a score, 0 to 1"),
        ("model.thresholds={low: -1}", "the threshold low is -1"),
        ("model.thresholds={lamp: 0.5}", "model.thresholds has 'lamp', which is no keyword"),
        ("model.num_stages=3", "model.num_stages is 3; expected 1 or 2"),
    ],
)
def test_mistakes_of_a_configuration(work, halfbyte, word, said):
    done = halfbyte("train", write_config(work), "--run", work / "refused", word)
    assert done.is_mistake(), done
    assert said in done.err


def test_mistakes_of_detection(work, halfbyte):
    done = halfbyte("detect", work / "tones.hb", work / "0.wav", "--min-score", "1.5")
    assert done.is_mistake(), done
    assert "min_score is 1.5; expected a score, 0 to 1" in done.err
    done = halfbyte("detect", work / "tones.hb", work / "missing.wav", work / "0.wav")
    assert done.status == 2
    assert "missing.wav" in done.err
    assert done.out


def test_a_recogniser_detects_nothing(halfbyte, work):
    from paths import TONES

    done = halfbyte("detect", TONES, work / "0.wav")
    assert done.is_mistake(), done
    assert "writes text and detects nothing" in done.err
    with pytest.raises(Exception, match="the model detects nothing; min_score is for detections"):
        Recognizer(TONES).stream(StreamOptions(min_score=0.5))
