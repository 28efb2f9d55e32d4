"""Static scales: torch, numpy, ONNX Runtime and the engine give the same bits."""

import numpy as np
import onnxruntime
import pytest
import torch
from export.layer_graph import graph_of
from kernels.kernel_cases import FLOAT_FILLS, make_floats
from onnx import helper
from onnx_graphs import assert_bits, run_engine
from operator_calls import packed, run

from halfbyte import _core
from halfbyte.engine import ModelFile, Session
from halfbyte.errors import InputError, UsageError
from halfbyte.export.compile import compile_model
from halfbyte.ops import static_linear
from halfbyte.ops.native_linear import NativeLinear
from halfbyte.ops.static_linear import StaticScale
from halfbyte.quant.affine import Affine
from halfbyte.quant.formats import format_named
from halfbyte.quant.lsq import LearnedStep
from halfbyte.quant.methods import ACTIVATION_METHODS, Methods

ISAS = _core.kernels.isas()
STATIC = [name for name in ACTIVATION_METHODS if name != "absmax"]
NUMBERS = [*(f"w{bits}a8" for bits in range(1, 9)), "w4a4"]
ROWS, K, N = 5, 70, 33  # no multiple of any tile


def layer_of(number: str, activations: str, k: int = K, n: int = N, seed: int = 0) -> NativeLinear:
    """A layer whose static scale is that of skewed inputs."""
    torch.manual_seed(seed)
    quantizer = Methods(activations=activations).of_activations(format_named(number))
    layer = NativeLinear(k, n, format_named(number), activation_quantizer=quantizer)
    torch.nn.init.normal_(layer.bias)
    if isinstance(quantizer, Affine):
        quantizer.set_range(-1.5, 3.25)
    else:
        assert isinstance(quantizer, LearnedStep)
        quantizer.set_scales(torch.tensor([[3.0 / 2 ** (quantizer.num_bits - 1)]]))
    return layer.eval()


def near_ties(static: StaticScale, rows: int, k: int) -> np.ndarray:
    """Inputs some ulps around halves between codes, inside the codes and beyond them."""
    random = np.random.default_rng(k)
    halves = random.integers(-300, 300, (rows, k)).astype(np.float32) + np.float32(0.5)
    x = (halves * np.float32(static.scale)).view(np.int32)
    return (x + random.integers(-16, 17, (rows, k), np.int32)).view(np.float32)


def fills(layer: NativeLinear) -> dict[str, np.ndarray]:
    shape = (ROWS, layer.in_features)
    cases = {fill: make_floats(fill, shape) for fill in FLOAT_FILLS}
    cases["near ties"] = near_ties(StaticScale.of(layer.activation_quantizer), *shape)
    cases["beyond fp32"] = np.full(shape, np.finfo(np.float32).max, np.float32)
    cases["lowest"] = -cases["beyond fp32"]
    return cases


def in_numpy(layer: NativeLinear, x: np.ndarray) -> np.ndarray:
    quantized = layer.quantized_weight()
    return static_linear.reference(
        x,
        quantized.codes.numpy(),
        quantized.scales[:, 0].half().numpy(),
        layer.bias.detach().half().numpy(),
        StaticScale.of(layer.activation_quantizer),
    )


@pytest.mark.parametrize("activations", STATIC)
@pytest.mark.parametrize("number", NUMBERS)
def test_all_four_give_the_same_bits(number, activations, tmp_path):
    layer = layer_of(number, activations)
    model = graph_of(layer, {"x": np.zeros((ROWS, K), np.float32)})
    compile_model({"graph": model}, {}, tmp_path / "m.hb")
    file, session = (
        ModelFile(tmp_path / "m.hb"),
        onnxruntime.InferenceSession(model.SerializeToString()),
    )
    for fill, x in fills(layer).items():
        expected = in_numpy(layer, x)
        with torch.no_grad():
            found = layer(torch.from_numpy(x)).numpy()
        np.testing.assert_array_equal(found, expected, err_msg=fill)
        np.testing.assert_array_equal(session.run(None, {"x": x})[0], expected, err_msg=fill)
        assert_bits(file, {"x": x}, expected, ISAS)


@pytest.mark.parametrize("rows", [1, 4, 130])
@pytest.mark.parametrize(("k", "n"), [(1, 1), (64, 16), (129, 100)])
def test_any_shape_has_the_bits_of_the_reference(rows, k, n, tmp_path):
    layer = layer_of("w1a8", "moving_average", k, n)  # padded weights of 1 bit are -1
    x = make_floats("random", (rows, k))
    compile_model({"graph": graph_of(layer, {"x": x})}, {}, tmp_path / "m.hb")
    assert_bits(ModelFile(tmp_path / "m.hb"), {"x": x}, in_numpy(layer, x), ISAS)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_the_offsets(threads, tmp_path):
    layer = layer_of("w4a8", "moving_average", 256, 300)
    x = make_floats("random", (32, 256))
    compile_model({"graph": graph_of(layer, {"x": x})}, {}, tmp_path / "m.hb")
    session = Session(ModelFile(tmp_path / "m.hb"), "graph", threads=threads)
    y = np.frombuffer(session.run({"x": x})["y"].data, np.float32).reshape(32, 300)
    np.testing.assert_array_equal(y, in_numpy(layer, x))


@pytest.mark.parametrize("width", [64, 36])  # halves of whole tiles, and others
@pytest.mark.parametrize("follower", ["silu", "relu", "glu", "residual"])
def test_what_follows_is_fused_with_the_bits_of_the_operators_one_by_one(follower, width, tmp_path):
    layer = layer_of("w4a8", "moving_average", K, width)
    inputs = {"x": make_floats("random", (ROWS, K))}
    if follower == "residual":
        inputs["residual"] = make_floats("random", (ROWS, width))
        after = [helper.make_node("Add", ["residual", "h"], ["y"])]
    elif follower == "relu":
        after = [helper.make_node("Relu", ["h"], ["y"])]
    elif follower == "silu":
        after = [
            helper.make_node("Sigmoid", ["h"], ["s"]),
            helper.make_node("Mul", ["h", "s"], ["y"]),
        ]
    else:
        after = [
            helper.make_node("Split", ["h"], ["a", "b"], axis=-1, num_outputs=2),
            helper.make_node("Sigmoid", ["b"], ["s"]),
            helper.make_node("Mul", ["a", "s"], ["y"]),
        ]
    compile_model({"graph": graph_of(layer, inputs, after)}, {}, tmp_path / "m.hb")
    file = ModelFile(tmp_path / "m.hb")
    assert [node.op for node in file.nodes("graph")] == ["StaticLinear"]
    y = in_numpy(layer, inputs["x"])
    if follower == "residual":
        return assert_bits(file, inputs, inputs["residual"] + y, ISAS)
    assert_bits(file, inputs, run(follower.capitalize(), y), ISAS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_inputs_that_are_not_finite_are_refused(value, tmp_path):
    layer = layer_of("w8a8", "lsq")
    x = np.zeros((ROWS, K), np.float32)
    compile_model({"graph": graph_of(layer, {"x": x})}, {}, tmp_path / "m.hb")
    x[3, 17] = value
    file = ModelFile(tmp_path / "m.hb")
    for isa in ISAS:
        with pytest.raises(InputError, match=r"row 3 .* NaN or infinity"):
            run_engine(file, {"x": x}, isa=isa)
    with pytest.raises(InputError, match="NaN or infinity"):
        in_numpy(layer, x)


def test_sums_at_the_edge_of_int32_are_exact_and_more_inputs_are_refused(tmp_path):
    layer = layer_of("w8a8", "moving_average", 2**16 - 1, 1)
    layer.activation_quantizer.set_range(0.0, 1.0)  # all codes lie at or above the zero point
    with torch.no_grad():
        layer.weight.fill_(1.0)
    x = np.full((1, layer.in_features), 2.0, np.float32)
    compile_model({"graph": graph_of(layer, {"x": x})}, {}, tmp_path / "m.hb")
    assert_bits(ModelFile(tmp_path / "m.hb"), {"x": x}, in_numpy(layer, x), ISAS)
    wider = layer_of("w8a8", "moving_average", 2**16, 1)
    x = np.zeros((1, 2**16), np.float32)
    with pytest.raises(UsageError, match=r"StaticLinear .* 65536 products; 65535 is the most"):
        compile_model({"graph": graph_of(wider, {"x": x})}, {}, tmp_path / "m.hb")


def test_a_step_that_no_range_has_is_refused(tmp_path):
    layer = layer_of("w8a8", "lsq")
    layer.activation_quantizer.set_scales(torch.tensor([[2.0**101]]))
    x = np.zeros((1, K), np.float32)
    with pytest.raises(UsageError, match=r"StaticLinear y has a step of .*2\^-100 to 2\^100"):
        compile_model({"graph": graph_of(layer, {"x": x})}, {}, tmp_path / "m.hb")


GOOD = {"zero_point": 3, "low": -128, "high": 127}


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("zero_point must be -128 to 127", {"zero_point": 128}),
        ("low must be -128 to 127", {"low": -129}),
        ("zero point lies outside of its codes", {"zero_point": -5, "low": -4}),
        (r"step lies outside of 2\^-100..2\^100", {"step": np.float32([0])}),
        (r"step lies outside of 2\^-100..2\^100", {"step": np.float32([np.nan])}),
        ("needs one step", {"step": np.ones(2, np.float32)}),
        ("one offset per output", {"offsets": np.zeros(3, np.int32)}),
    ],
)
def test_a_node_that_does_not_fit_is_refused(message, changes):
    x, half = np.ones((1, 4), np.float32), np.ones(2, np.float32)
    codes = packed(np.ones((2, 4), np.int8), 4)
    inputs = {"offsets": np.zeros(2, np.int32), "step": np.ones(1, np.float32)}
    inputs |= {key: changes[key] for key in changes if key in inputs}
    attributes = GOOD | {key: changes[key] for key in changes if key in GOOD}
    with pytest.raises((InputError, UsageError), match=message):
        run("StaticLinear", x, codes, half, half, *inputs.values(), **attributes)
