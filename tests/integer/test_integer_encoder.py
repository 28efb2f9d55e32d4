"""An integer-only model as a whole: training graph = ONNX Runtime = engine, chunks = at once."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from export.models import ENCODER, Exported, export_checkpoint, following, random_model
from isas import ISAS
from onnx_graphs import as_array

from halfbyte.blocks.encoder import LONGEST_SEGMENT_FRAMES
from halfbyte.cli import main
from halfbyte.data.frames import Labels
from halfbyte.engine import ModelFile, Session
from halfbyte.errors import ConfigError, ModelFileError
from halfbyte.export.compile import compile_model
from halfbyte.families.u2.config import ModelConfig
from halfbyte.listen.recognizer import default_model
from halfbyte.measure.deployed import raise_if_different, verify
from halfbyte.ops import int_layer_norm, requantize
from halfbyte.ops.coded import requantize as coded_requantize
from halfbyte.ops.fixed_point import fixed_point
from halfbyte.quant.ranges import Range
from halfbyte.train.checkpoint import build_model, load_checkpoint, load_weights, save_checkpoint
from halfbyte.train.config import QuantizationConfig, TrainConfig

RATE, OVERLAP = 8, 7


def configuration(**quantization):
    model = ModelConfig()
    model.encoder.width, model.encoder.num_layers, model.encoder.num_heads = 48, 2, 4
    model.encoder.feed_forward, model.encoder.subsampling_channels = 96, 8
    model.encoder.left_context = 12
    model.decoder.num_layers, model.decoder.feed_forward = 1, 64
    return TrainConfig(
        family="u2",
        model=model,
        quantization=QuantizationConfig(arithmetic="integer", **quantization),
    )


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(3, 120, 80, generator=generator) * 3 + 12
    tokens = torch.randint(1, 40, (3, 4), generator=generator)
    return features, torch.tensor([120, 100, 64]), tokens, torch.tensor([4, 3, 2])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint after two steps of training: ranges set, none of the weights zero."""
    config = configuration(layers={"ctc": "w8a8"})
    tokenizer, model = random_model(config, 60)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    for chunk_steps in (0, 4):
        features, num_frames, tokens, num_tokens = batch(chunk_steps)
        said = model.log_probs(features, num_frames, tokens, num_tokens, chunk_steps)
        optimizer.zero_grad()
        model.loss(said, tokens, num_tokens)["loss"].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    folder = tmp_path_factory.mktemp("integer") / "checkpoint"
    save_checkpoint(folder, config, tokenizer, model.state_dict())
    return folder


@pytest.fixture(scope="module")
def exported(trained) -> Exported:
    return export_checkpoint(trained, trained.parent)


def test_training_graph_onnx_runtime_and_engine_agree_to_the_last_bit(exported):
    states = exported.initial_states()
    for seed, steps in enumerate((8, 8, 3)):
        features = exported.features(steps, 0, seed)
        in_torch = exported.in_torch(features, states)
        in_ort = exported.in_onnx_runtime(features, states)
        for name, value in in_torch.items():
            if name != "ctc_log_probs":  # a float function of equal logits
                np.testing.assert_array_equal(in_ort[name], value)
        for isa in ISAS:
            outputs = Session(exported.file, isa=isa).run({"features": features, **states})
            in_engine = {name: as_array(tensor) for name, tensor in outputs.items()}
            for name, value in in_torch.items():
                if name != "ctc_log_probs":
                    np.testing.assert_array_equal(in_engine[name], value, err_msg=f"{name} {isa}")
            np.testing.assert_allclose(
                in_engine["ctc_log_probs"], in_torch["ctc_log_probs"], atol=1e-5
            )
        assert np.abs(in_torch["encoder_out"]).max() > 1
        states = following(in_torch)


def test_logits_agree_to_the_last_bit(exported, tmp_path):
    traced = onnx.load(exported.onnx_folder / ENCODER)
    numbers = {node.output[0]: node.input[0] for node in traced.graph.node}
    (log_softmax,) = [n for n in traced.graph.node if n.op_type == "LogSoftmax"]
    codes = numbers[log_softmax.input[0]]
    traced.graph.output.append(
        onnx.helper.make_tensor_value_info(codes, onnx.TensorProto.INT16, ["b", "t", "v"])
    )
    compile_model({"encoder": traced}, {"name": "test"}, tmp_path / "logits.hb")
    features, states = exported.features(8, 0, 5), exported.initial_states()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(traced.SerializeToString(), options)
    (in_ort,) = session.run([codes], {"features": features, **states})
    in_engine = Session(ModelFile(tmp_path / "logits.hb")).run({"features": features, **states})
    model = exported.model
    with torch.no_grad():
        tensors = {name: torch.from_numpy(value) for name, value in states.items()}
        encoded, _ = model.encoder.step(torch.from_numpy(features), tensors)
        in_torch = model.logits.take("x", model.ctc(encoded)).codes.numpy()
    np.testing.assert_array_equal(in_ort, in_torch)
    np.testing.assert_array_equal(as_array(in_engine[codes]), in_torch)


@pytest.mark.parametrize("chunk_steps", [4, 2])
def test_chunk_by_chunk_equals_the_masked_whole(exported, chunk_steps):
    features = torch.from_numpy(exported.features(4 * chunk_steps, 0, 7))
    model = exported.model
    with torch.no_grad():
        encoded, _ = model.encoder(features, torch.tensor([features.shape[1]]), chunk_steps)
        whole = model.numbers(encoded)
    states, pieces = exported.initial_states(), []
    for start in range(0, features.shape[1] - OVERLAP, RATE * chunk_steps):
        window = features[:, start : start + RATE * chunk_steps + OVERLAP].numpy()
        outputs = exported.in_engine(window, states)
        pieces.append(outputs["encoder_out"])
        states = following(outputs)
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole.numpy())


def test_the_audit_passes_and_names_what_computes_in_float(exported, capsys):
    audit = exported.file.audit("encoder")
    assert audit.floating == []
    operators = [op for op, _ in audit.boundary]
    assert sorted(operators) == ["Dequantize", "Dequantize", "LogSoftmax", "QuantizeFeatures"]
    assert main(["info", str(exported.model_file), "--audit"]) == 0
    assert "integer-only" in capsys.readouterr().out
    assert main(["info", str(default_model()), "--audit"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "LayerNormalization (" in error
    floating = {op for op, _ in ModelFile(default_model()).audit("encoder").floating}
    assert floating >= {"LayerNormalization", "Linear"}


def test_numbers_that_come_back_to_integers_are_refused(tmp_path):
    node = onnx.helper.make_node
    tensor = onnx.numpy_helper.from_array
    inputs = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.INT8, ["t", 4])]
    outputs = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT8, ["t", 4])]
    constants = [
        tensor(np.float32(0.5), "scale"),
        tensor(np.zeros(4, np.float32), "mean"),
        tensor(np.ones(4, np.float32), "factor"),
    ]
    nodes = [
        node("Dequantize", ["x", "scale"], ["numbers"], domain="halfbyte"),
        node("Softmax", ["numbers"], ["weights"], axis=-1),
        node("QuantizeFeatures", ["weights", "mean", "factor"], ["y"], domain="halfbyte"),
    ]
    graph = onnx.helper.make_graph(nodes, "graph", inputs, outputs, constants)
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("halfbyte", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets)
    compile_model({"encoder": model}, {"name": "test"}, tmp_path / "back.hb")
    audit = ModelFile(tmp_path / "back.hb").audit("encoder")
    assert [op for op, _ in audit.floating] == ["Dequantize", "Softmax", "QuantizeFeatures"]
    assert audit.boundary == []


def test_one_activation_in_float_is_named(exported, tmp_path, capsys):
    """The table of the first SiLU of a whole model gives way to the function in float."""
    model = onnx.ModelProto()
    model.CopyFrom(exported.encoder)
    table = next(node for node in model.graph.node if node.op_type == "IntTable")
    node, tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
    width = exported.config.model.encoder.feed_forward
    constants = [
        tensor(np.float32(0.05), "float.scale"),
        tensor(np.zeros(width, np.float32), "float.mean"),
        tensor(np.full(width, 20, np.float32), "float.factor"),
    ]
    model.graph.initializer.extend(constants)
    instead = [
        node("Dequantize", [table.input[0], "float.scale"], ["float.x"], domain="halfbyte"),
        node("Sigmoid", ["float.x"], ["float.gate"]),
        node("Mul", ["float.x", "float.gate"], ["float.y"]),
        node(
            "QuantizeFeatures",
            ["float.y", "float.mean", "float.factor"],
            [table.output[0]],
            domain="halfbyte",
        ),
    ]
    at = list(model.graph.node).index(table)
    nodes = [*model.graph.node[:at], *instead, *model.graph.node[at + 1 :]]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    compile_model({"encoder": model}, {"name": "test"}, tmp_path / "float.hb")
    floating = ModelFile(tmp_path / "float.hb").audit("encoder").floating
    assert [op for op, _ in floating] == ["Dequantize", "Silu", "QuantizeFeatures"]
    assert main(["info", str(tmp_path / "float.hb"), "--audit"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "3 operators compute in floating point: Dequantize (" in error
    assert "Silu (" in error


def test_codes_and_bias_of_the_file_are_the_trained_ones(exported):
    raise_if_different(verify(exported.checkpoint, exported.model_file))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ("logits.x_range", r"layer logits.* is not the trained one: no operator"),
        (
            "encoder.layers.1.convolution.norm.out_range",
            r"layer encoder\.layers\.1\.convolution\.norm",
        ),
        (
            "encoder.layers.0.attention.attend.out_range",
            r"layer encoder\.layers\.0\.attention\.attend",
        ),
        (
            "encoder.layers.0.convolution.glu.gate_range",
            r"layer encoder\.layers\.0\.convolution\.glu",
        ),
    ],
)
def test_multipliers_tables_and_norms_of_the_file_are_the_trained_ones(
    exported, tmp_path, changed, words
):
    config, tokenizer, model = load_checkpoint(exported.checkpoint)
    model.get_submodule(changed).amax.mul_(1.5)
    save_checkpoint(tmp_path / "other", config, tokenizer, model.state_dict())
    with pytest.raises(ModelFileError, match=words):
        raise_if_different(verify(tmp_path / "other", exported.model_file))


def test_a_longer_context_than_the_table_of_distances_is_refused(exported):
    steps = exported.model.encoder.distances.longest + 1
    assert steps * RATE > LONGEST_SEGMENT_FRAMES
    features = np.zeros((1, steps * RATE + OVERLAP, 80), np.float32)
    assert main(["info", str(exported.model_file)]) == 0
    with pytest.raises(Exception, match="index"):
        Session(exported.file).run({"features": features})


def test_a_dynamic_checkpoint_goes_on_as_an_integer_one(tmp_path):
    config = configuration()
    dynamic = TrainConfig(family="u2", model=config.model)
    tokenizer, model = random_model(dynamic, 60)
    save_checkpoint(tmp_path / "dynamic", dynamic, tokenizer, model.state_dict())
    integer = build_model(config, tokenizer)
    load_weights(integer, tmp_path / "dynamic")
    features, num_frames, *_ = batch()
    with pytest.raises(ConfigError, match="no ranges yet"), torch.no_grad():
        integer.eval().encoder(features, num_frames)
    integer.train()
    with torch.no_grad():
        integer.encoder(features, num_frames)
        expected, _ = model.eval().encoder(features, num_frames)
        got = integer.numbers(integer.eval().encoder(features, num_frames)[0])
    valid = torch.arange(got.shape[1]) < model.encoder.subsampling.num_steps(num_frames)[:, None]
    difference = (got - expected)[valid].square().mean() / expected[valid].square().mean()
    assert difference < 0.02
    save_checkpoint(tmp_path / "integer", config, tokenizer, integer.state_dict())
    _, _, again = load_checkpoint(tmp_path / "integer")
    with torch.no_grad():
        assert torch.equal(again.numbers(again.encoder(features, num_frames)[0]), got)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: setattr(c.quantization, "layers", {"ctc": "float32"}), "layer ctc"),
        (lambda c: setattr(c.quantization, "default", "w4a4"), "w1a8 to w8a8"),
        (lambda c: setattr(c.quantization, "arithmetic", "fixed"), "dynamic or integer"),
        (lambda c: setattr(c.quantization, "activations", "lsq"), "quantization.activations"),
        (lambda c: setattr(c.model.encoder, "relative_shift", False), "relative_shift"),
        (lambda c: setattr(c.model.encoder, "layer_drop", 0.1), "layer_drop"),
    ],
)
def test_options_that_the_mode_does_not_serve_are_refused(change, words):
    config = configuration()
    change(config)
    with pytest.raises(ConfigError, match=words):
        build_model(config, Labels([""] * 60))


def test_a_range_follows_what_it_sees_and_moves_between_steps_only():
    tracked = Range()
    tracked.is_wired = True
    tracked.observe(torch.tensor([1.0, -2.0]))
    tracked.observe(torch.tensor([1.27]))
    tracked.start()
    assert tracked.scale == pytest.approx(2 / 127)
    tracked.observe(torch.tensor([4.0]))
    assert tracked.scale == pytest.approx(2 / 127)
    tracked.move()
    assert tracked.scale == pytest.approx((2 + 0.01 * 2) / 127)


def test_torch_and_numpy_agree_on_random_and_extreme_numbers():
    rng = np.random.default_rng(4)
    acc = rng.integers(-(2**31), 2**31 - 1, (50, 9), endpoint=True).astype(np.int32)
    acc[0] = [-(2**31), 2**31 - 1, 0, 1, -1, 2**30, -(2**30), 7, -7]
    m = rng.integers(0, 2**31, 9).astype(np.int32)
    for shift in (1, 31, 40, 62):
        got = coded_requantize(
            torch.from_numpy(acc), torch.from_numpy(m.astype(np.int64)), shift, (-127, 127), None
        )
        np.testing.assert_array_equal(got.numpy(), requantize.reference(acc, m, shift))
    x = rng.integers(-32767, 32768, (40, 33)).astype(np.int16)
    x[0], x[1], x[2] = 0, 32767, 5
    weight, shift = fixed_point(rng.normal(30, 5, 33) * 2.0**-16)
    bias = np.rint(rng.normal(0, 9, 33) * 2.0**shift).astype(np.int64)
    wide = (torch.from_numpy(part.astype(np.int64)) for part in (x, weight, bias))
    got = int_layer_norm.compute(*wide, 17, shift, 127)
    np.testing.assert_array_equal(got.numpy(), int_layer_norm.reference(x, weight, bias, 17, shift))
