"""From ONNX to the model file: what is fused, folded, stored, and refused."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx_graphs import (
    W4A8,
    as_array,
    assert_same,
    compiled,
    int4_tensor,
    model_of,
    run_engine,
    run_reference,
)
from streaming_graph import streaming_model

from halfbyte.engine import ModelFile
from halfbyte.errors import ModelFileError, UsageError
from halfbyte.export.compile import compile_model
from halfbyte.export.graph_ir import read_onnx
from halfbyte.export.lower import largest_num_inputs, lower

RNG = np.random.default_rng(3)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def lowered_ops(model):
    graph = read_onnx(model, "graph")
    lower(graph)
    return [n.op for n in graph.nodes]


# id: (nodes, input x, initialisers, operators after lowering)
PATTERNS = {
    "silu": ([node("Sigmoid", "x", "s"), node("Mul", "x s", "y")], floats(3, 5), {}, ["Silu"]),
    "silu_turned": ([node("Sigmoid", "x", "s"), node("Mul", "s x", "y")], floats(5), {}, ["Silu"]),
    "glu": (
        [
            node("Split", "x", "a b", axis=2, num_outputs=2),
            node("Sigmoid", "b", "s"),
            node("Mul", "a s", "y"),
        ],
        floats(2, 3, 14),
        {},
        ["Glu"],
    ),
    "gate_on_the_first_half_is_no_glu": (
        [
            node("Split", "x", "a b", axis=-1, num_outputs=2),
            node("Sigmoid", "a", "s"),
            node("Mul", "b s", "y"),
        ],
        floats(2, 14),
        {},
        ["Split", "Sigmoid", "Mul"],
    ),
    "glu_along_another_axis_stays": (
        [
            node("Split", "x", "a b", axis=1, num_outputs=2),
            node("Sigmoid", "b", "s"),
            node("Mul", "a s", "y"),
        ],
        floats(2, 4, 6),
        {},
        ["Split", "Sigmoid", "Mul"],
    ),
    "bias": (
        [node("MatMul", "x w", "h"), node("Add", "b h", "y")],
        floats(2, 3, 5),
        {"w": floats(5, 7), "b": floats(7)},
        ["LinearFloat"],
    ),
    "product_read_twice_keeps_its_add": (
        [node("MatMul", "x w", "h"), node("Add", "h b", "a"), node("Mul", "a h", "y")],
        floats(3, 5),
        {"w": floats(5, 7), "b": floats(7)},
        ["LinearFloat", "Add", "Mul"],
    ),
    "turned_weight": (
        [node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "x t", "y")],
        floats(3, 5),
        {"w": floats(7, 5)},
        ["LinearFloat"],
    ),
    "half_weight": (
        [node("Cast", "w", "t", to=1), node("MatMul", "x t", "y")],
        floats(3, 5),
        {"w": floats(5, 7).astype(np.float16)},
        ["LinearFloat"],
    ),
    "half_table": (
        [
            node("Shape", "x", "n", end=1),
            node("Slice", "w zero n", "t"),
            node("Cast", "t", "u", to=1),
            node("Add", "x u", "y"),
        ],
        floats(3, 5),
        {"w": floats(9, 5).astype(np.float16), "zero": np.array([0], np.int64)},
        ["Shape", "Slice", "Cast", "Add"],
    ),
    "identity": ([node("Identity", "x", "i"), node("Neg", "i", "y")], floats(5), {}, ["Neg"]),
    "dropout": ([node("Dropout", "x", "i"), node("Neg", "i", "y")], floats(5), {}, ["Neg"]),
    "dead": ([node("Neg", "x", "z"), node("Abs", "x", "y")], floats(5), {}, ["Abs"]),
    "constants": (
        [
            node("Constant", "", "two", value=numpy_helper.from_array(np.float32(2))),
            node("Mul", "two c", "four"),
            node("Add", "x four", "y"),
        ],
        floats(3, 5),
        {"c": floats(5)},
        ["Add"],
    ),
    "large_expansions_stay": (
        [node("Expand", "c n", "e"), node("Add", "x e", "y")],
        floats(200, 300),
        {"c": floats(1), "n": np.array([200, 300], np.int64)},
        ["Expand", "Add"],
    ),
    "conv_between_turns": (
        [
            node("Transpose", "x", "t", perm=[0, 2, 1]),
            node("Conv", "t w", "c", group=6),
            node("Transpose", "c", "y", perm=[0, 2, 1]),
        ],
        floats(1, 9, 6),
        {"w": floats(6, 1, 3)},
        ["DepthwiseConv", "Identity"],
    ),
    "int32": (
        [node("Cast", "x", "i", to=6), node("Cast", "i", "y", to=1)],
        floats(3, 5) * 9,
        {},
        ["Cast", "Cast"],
    ),
    "zeros": (
        [
            node("Shape", "x", "n"),
            node(
                "ConstantOfShape", "n", "z", value=numpy_helper.from_array(np.ones(1, np.float32))
            ),
            node("Add", "x z", "y"),
        ],
        floats(3, 5),
        {},
        ["Shape", "Expand", "Add"],
    ),
}


@pytest.mark.parametrize("case", PATTERNS)
def test_lowering_keeps_the_answer(case, tmp_path):
    nodes, x, initializers, expected_ops = PATTERNS[case]
    model = model_of(nodes, {"x": x}, ["y"], initializers)
    assert lowered_ops(model) == expected_ops
    got = run_engine(compiled(model, tmp_path), {"x": x})
    assert_same(got, run_reference(model, {"x": x}), rtol=1e-5, atol=1e-5)


def linear_model(k, n):
    codes = RNG.integers(-7, 8, (n, k)).astype(np.int8)
    arrays = {
        "layer.codes": int4_tensor("layer.codes", codes),
        "layer.scales": np.full(n, 0.5, np.float16),
        "layer.bias": np.zeros(n, np.float16),
    }
    call = helper.make_node("Linear", ["x", *arrays], ["y"], domain="halfbyte", **W4A8)
    return model_of([call], {"x": floats(2, k)}, ["y"], arrays)


def test_four_bit_layers_take_half_a_byte_a_weight(tmp_path):
    model_file = compiled(linear_model(64, 160), tmp_path)
    (layer,) = model_file.layers("graph")
    assert (layer.name, layer.kind, layer.bits) == ("layer.codes", "Linear w4a8", 4)
    assert (layer.shape, layer.num_bytes) == ((160, 64), 160 * 64 // 2 + 2 * 160 * 2)
    assert model_file.sections["weights"] == layer.num_bytes


def test_floats_that_float16_holds_are_stored_so(tmp_path):
    x = floats(3, 64)
    for weight, item_bytes in ((floats(64, 32).astype(np.float16), 2), (floats(64, 32), 4)):
        wide = weight.astype(np.float32)
        model = model_of([node("MatMul", "x w", "y")], {"x": x}, ["y"], {"w": wide})
        model_file = compiled(model, tmp_path)
        assert model_file.sections["weights"] == 64 * 32 * item_bytes
        expected = run_reference(model, {"x": x})
        assert_same(run_engine(model_file, {"x": x}), expected, rtol=1e-4, atol=1e-4)


def test_graphs_share_equal_constants_and_zero_states_take_nothing(tmp_path):
    model, path = linear_model(64, 160), tmp_path / "two.hb"
    compile_model({"encoder": model, "decoder": model}, {}, path)
    assert ModelFile(path).graph_names == ["decoder", "encoder"]
    single = compiled(model, tmp_path)
    assert ModelFile(path).sections["weights"] == single.sections["weights"]


def test_the_same_model_gives_the_same_bytes(tmp_path):
    paths = [tmp_path / "a.hb", tmp_path / "b.hb"]
    for path in paths:
        compile_model({"encoder": streaming_model()}, {"name": "x"}, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_metadata_and_test_vector_come_back(tmp_path):
    path = tmp_path / "m.hb"
    metadata = {"name": "klein", "tokens": ["<blank>", "▁the"], "streaming": {"chunk_steps": 8}}
    arrays = {"input.features": floats(1, 3, 8), "ids": np.arange(3), "flags": np.array([True])}
    compile_model({"encoder": streaming_model()}, metadata, path, arrays)
    model_file = ModelFile(path)
    assert model_file.metadata == metadata
    vector = model_file.test_vector()
    assert vector.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(as_array(vector[name]), array)
    assert model_file.inputs("encoder")[0].name == "features"
    assert model_file.inputs("encoder")[0].axes == (1, "T", 8)
    assert model_file.outputs("encoder") == ["y", "next.conv", "next.key"]


def test_a_refused_model_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.hb"
    path.write_bytes(b"old")
    model = model_of([node("Asin", "x", "y")], {"x": floats(3)}, ["y"])
    with pytest.raises(UsageError, match="Asin"):
        compile_model({"encoder": model}, {}, path)
    assert [p.name for p in tmp_path.iterdir()] == ["m.hb"]
    assert path.read_bytes() == b"old"


REFUSED = {
    "half_arithmetic": (
        [node("Add", "w w", "h"), node("Cast", "h", "c", to=1), node("Add", "x c", "y")],
        {"w": np.float16([1, 2, 3, 4, 5])},
        "float16",
    ),
    "cast_to_half": ([node("Cast", "x", "h", to=10), node("Cast", "h", "y", to=1)], {}, "FLOAT16"),
    "computed_axes": (
        [node("Shape", "x", "n", start=5), node("ReduceSum", "x n", "y")],
        {},
        "must be a constant",
    ),
    "double_constant": (
        [node("Cast", "x", "d", to=11), node("Add", "d w", "e"), node("Cast", "e", "y", to=1)],
        {"w": np.float64([1.5])},
        "DOUBLE",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_models_that_cannot_run_are_refused(case, tmp_path):
    nodes, initializers, message = REFUSED[case]
    model = model_of(nodes, {"x": floats(3, 5)}, ["y"], initializers)
    with pytest.raises(UsageError, match=message):
        compiled(model, tmp_path)


def test_control_flow_and_foreign_domains_are_refused(tmp_path):
    x = floats(3)
    model = model_of([helper.make_node("Neg", ["x"], ["y"])], {"x": x}, ["y"])
    model.graph.node[0].domain = "com.example"
    with pytest.raises(UsageError, match=r"com\.example::Neg"):
        compiled(model, tmp_path)
    branch = helper.make_graph([], "b", [], [])
    model = model_of([helper.make_node("Neg", ["x"], ["y"])], {"x": x}, ["y"])
    model.graph.node[0].CopyFrom(helper.make_node("If", ["x"], ["y"], then_branch=branch))
    with pytest.raises(UsageError, match="subgraph"):
        compiled(model, tmp_path)


def test_bits_that_no_kernel_has_are_refused_when_compiled(tmp_path):
    for bits, act_bits in ((3, 4), (4, 7), (9, 8)):
        model = linear_model(64, 160)
        attributes = {"weight_bits": bits, "activation_bits": act_bits}
        (layer,) = model.graph.node
        del layer.attribute[:]
        layer.attribute.extend(helper.make_attribute(*item) for item in attributes.items())
        with pytest.raises(UsageError, match="Linear y"):
            compiled(model, tmp_path)


@pytest.mark.parametrize("bits", [8, 4])
def test_sums_that_could_overflow_are_refused_when_compiled(bits, tmp_path):
    largest = largest_num_inputs(bits, 8)
    assert largest == (2**31 - 1) // 2 ** (bits + 8 - 2)
    for num_inputs in (largest, largest + 1):
        codes = np.zeros((1, num_inputs), np.int8)
        tensor = numpy_helper.from_array(codes, "codes") if bits == 8 else None
        if tensor is None:
            tensor = helper.make_tensor(
                "codes", onnx.TensorProto.INT4, codes.shape, bytes((num_inputs + 1) // 2), raw=True
            )
        halves = {name: np.ones(1, np.float16) for name in ("scales", "bias")}
        names, attributes = ["x", "codes", "scales", "bias"], W4A8 | {"weight_bits": bits}
        layer = helper.make_node("Linear", names, ["y"], domain="halfbyte", **attributes)
        x = np.zeros((1, num_inputs), np.float32)
        model = model_of([layer], {"x": x}, ["y"], {"codes": tensor, **halves})
        if num_inputs > largest:
            with pytest.raises(UsageError, match=rf"y sums {num_inputs} products; {largest}"):
                compiled(model, tmp_path)
        else:
            compiled(model, tmp_path)


def chain(*nodes_, outputs="y", initializers=None):
    return model_of(list(nodes_), {"x": floats(3, 5)}, outputs.split(), initializers or {})


def cyclic():
    return chain(node("Add", "x b", "a"), node("Neg", "a", "b"), node("Abs", "b", "y"))


def cyclic_function():
    model = chain(node("Neg", "x", "y"))
    call = helper.make_node("f", ["x"], ["y"], domain="other")
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("other", 1)]
    model.functions.append(helper.make_function("other", "f", ["x"], ["y"], [call], opsets))
    model.graph.node[0].CopyFrom(call)
    return model


def of_opset(*versions):
    model = chain(node("Neg", "x", "y"))
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*version) for version in versions)
    return model


def with_tensor(**fields):
    tensor = numpy_helper.from_array(floats(5), "w")
    for name, value in fields.items():
        setattr(tensor, name, value)
    model = chain(node("Add", "x w", "y"), initializers={"w": floats(5)})
    model.graph.initializer[0].CopyFrom(tensor)
    return model


def of_size(size):
    model = with_tensor()
    model.graph.initializer[0].dims[0] = size
    return model


def of_type(elem_type):
    model = chain(node("Neg", "x", "y"))
    model.graph.input[0].type.tensor_type.elem_type = elem_type
    return model


ODD = {
    "cycle": (cyclic, "Add reads 'b', which nothing before it writes"),
    "cycle of one": (lambda: chain(node("Add", "x y", "y")), "reads 'y'"),
    "cycle of functions": (cyclic_function, "other::f call themselves"),
    "missing input": (lambda: chain(node("Add", "x z", "y")), "reads 'z'"),
    "written twice": (lambda: chain(node("Neg", "x", "y"), node("Abs", "x", "y")), "writes 'y'"),
    "input written": (lambda: chain(node("Neg", "x", "x"), node("Abs", "x", "y")), "writes 'x'"),
    "no writer": (lambda: chain(node("Neg", "x", "z")), "nothing writes its output 'y'"),
    "empty": (lambda: chain(outputs="x"), "no nodes"),
    "NaN": (
        lambda: chain(node("Add", "x w", "y"), initializers={"w": floats(5) * np.float32(np.nan)}),
        "w holds NaN",
    ),
    "computed NaN": (
        lambda: chain(
            node("Log", "w", "l"),
            node("Add", "x l", "y"),
            initializers={"w": -np.ones(5, np.float32)},
        ),
        "holds NaN",
    ),
    "no opset": (of_opset, "is of opset none"),
    "opset 0": (lambda: of_opset(("", 0)), "opset 0"),
    "opset -1": (lambda: of_opset(("", -1)), "opset -1"),
    "opset 7": (lambda: of_opset(("", 7)), "opset 7; expected 13"),
    "opset 99": (lambda: of_opset(("", 99)), "opset 99"),
    "two opsets": (lambda: of_opset(("", 21), ("ai.onnx", 17)), "opset 21, 17"),
    "our version 2": (lambda: of_opset(("", 21), ("halfbyte", 2)), "version 2 of the operators"),
    "short tensor": (lambda: with_tensor(raw_data=b"abc"), "cannot be read"),
    "negative size": (lambda: of_size(-5), "w has a negative size"),
    "tensor of no type": (lambda: with_tensor(data_type=0), "cannot be read"),
    "tensor of type 99": (lambda: with_tensor(data_type=99), "cannot be read"),
    "input of no type": (lambda: of_type(0), "cannot be read"),
    "input of type 99": (lambda: of_type(99), "cannot be read"),
    "too few inputs": (lambda: chain(node("Add", "x", "y")), "."),
    "no attribute": (lambda: chain(node("Cast", "x", "y")), "cannot be read"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_graphs_are_one_line(case, tmp_path):
    make, named = ODD[case]
    with pytest.raises((UsageError, ModelFileError), match=named) as caught:
        compiled(make(), tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_constants_that_would_fill_the_memory_are_not_computed(tmp_path):
    """What a graph of a few bytes asks for stays for plan time, where the engine has its limits."""
    arrays = {"n": np.array([1 << 20, 1 << 20], np.int64), "one": np.ones((1, 1), np.float32)}
    for op, inputs in (("Expand", "one n"), ("Tile", "one n"), ("ConstantOfShape", "n")):
        shape = [node("Shape", "e", "s"), node("Cast", "s", "y", to=1)]
        compiled(chain(node(op, inputs, "e"), *shape, initializers=arrays), tmp_path)
