"""Float operators that blocks emit: numpy = ONNX Runtime = engine on every instruction set.

They are as near as sums in another order are."""

import importlib
import pkgutil

import numpy as np
import pytest
from isas import ISAS
from onnx import helper
from onnx_graphs import assert_same, compiled, model_of, run_engine, run_reference

from halfbyte import ops
from halfbyte.ops import chunk_attention, chunk_conv, glu, silu
from halfbyte.ops.operator import Operator

BATCH, CHUNK, LEFT, HEADS, WIDTH = 2, 5, 7, 3, 24


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def check(operator, inputs, constants, expected, tmp_path, **attributes):
    """All implementations give what numpy does; returns what the engine gave."""
    order = operator.inputs.split(", ")
    names = operator.outputs.split(", ")
    node = helper.make_node(operator.name, order, names, domain="halfbyte", **attributes)
    model = model_of([node], inputs, names, constants)
    wanted = dict(zip(names, expected, strict=True))
    assert_same(run_reference(model, inputs), wanted, 1e-5, 1e-5)
    file = compiled(model, tmp_path)
    found = [run_engine(file, inputs, isa=isa) for isa in ISAS]
    for each in found:
        assert_same(each, wanted, 1e-5, 1e-5)
    return found, wanted


@pytest.mark.parametrize("taps", [2, 5, 15])
def test_convolution_has_numpys_bits(rng, taps, tmp_path):
    inputs = {"x": normal(rng, BATCH, CHUNK, WIDTH), "past": normal(rng, BATCH, taps - 1, WIDTH)}
    constants = {"weight": normal(rng, WIDTH, 1, taps), "bias": normal(rng, WIDTH)}
    expected = chunk_conv.reference(**inputs, **constants)
    operator = chunk_conv.OPERATOR
    found, wanted = check(operator, inputs, constants, expected, tmp_path, channels=WIDTH)
    for each in found:
        assert_same(each, wanted, 0, 0)


@pytest.mark.parametrize("shift", [False, True])
def test_attention(rng, shift, tmp_path):
    per_head, keys = WIDTH // HEADS, LEFT + CHUNK
    operands = {name: normal(rng, BATCH, CHUNK, WIDTH) for name in ("query", "key", "value")}
    past = {n: normal(rng, BATCH, HEADS, LEFT, per_head) for n in ("past_key", "past_value")}
    num_columns = keys + CHUNK - 1 if shift else keys
    position = normal(rng, 1, HEADS, per_head, num_columns)
    biases = {n: normal(rng, HEADS, 1, per_head) for n in ("content_bias", "position_bias")}
    mask = np.where(rng.random((BATCH, 1, 1, keys)) < 0.3, -1e9, 0).astype(np.float32)
    scale = float(np.float32(per_head**-0.5))
    expected = chunk_attention.reference(
        (*operands.values(),), (*past.values(),), position, (*biases.values(),), mask, scale, shift
    )
    inputs = operands | past | {"position": position, "mask": mask}
    operator = chunk_attention.OPERATOR
    check(operator, inputs, biases, expected, tmp_path, scale=scale, shift=int(shift))


@pytest.mark.parametrize("module", [silu, glu])
def test_activations(rng, module, tmp_path):
    x = 8 * normal(rng, BATCH, CHUNK, WIDTH)
    x[0, 0, :2] = -200, 200
    check(module.OPERATOR, {"x": x}, {}, [module.reference(x)], tmp_path)


def test_every_file_of_an_operator_has_its_reference():
    names = [module.name for module in pkgutil.iter_modules(ops.__path__)]
    modules = [importlib.import_module(f"halfbyte.ops.{name}") for name in names]
    holding = [m for m in modules if any(isinstance(v, Operator) for v in vars(m).values())]
    without = [m.__name__ for m in holding if not hasattr(m, "reference")]
    assert len(holding) > 10
    assert without == []
