"""Small ONNX graphs, compiled and run beside ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from halfbyte.engine import ModelFile, Session
from halfbyte.export.compile import compile_model
from halfbyte.export.functions import functions

TYPES = {
    np.dtype(np.float32): onnx.TensorProto.FLOAT,
    np.dtype(np.int64): onnx.TensorProto.INT64,
    np.dtype(np.bool_): onnx.TensorProto.BOOL,
    np.dtype(np.int8): onnx.TensorProto.INT8,
    np.dtype(np.int16): onnx.TensorProto.INT16,
    np.dtype(np.int32): onnx.TensorProto.INT32,
}
W4A8 = {"weight_bits": 4, "activation_bits": 8}


def int4_tensor(name, codes):
    """Codes (N, K) as an INT4 initialiser."""
    return helper.make_tensor(name, onnx.TensorProto.INT4, codes.shape, codes.reshape(-1).tolist())


def model_of(nodes, inputs, outputs, initializers=()):
    """A model: inputs name -> array, outputs, initializers name -> array or TensorProto."""
    dims = {n: [f"{n}{i}" for i in range(a.ndim)] for n, a in inputs.items()}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(n, TYPES[a.dtype], dims[n]) for n, a in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [
            numpy_helper.from_array(v, n) if isinstance(v, np.ndarray) else v
            for n, v in dict(initializers).items()
        ],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("halfbyte", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=functions(), ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model)
    for value, known in zip(model.graph.output, inferred.graph.output, strict=True):
        value.CopyFrom(known)
    return model


def run_reference(model, inputs):
    """Outputs of ONNX Runtime by name, without its own fusions."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def compiled(model, directory: Path, name="graph") -> ModelFile:
    """The model as an open .hb file."""
    path = directory / f"{name}.hb"
    compile_model({name: model}, {"name": "test"}, path)
    return ModelFile(path)


def run_engine(model_file, inputs, name="graph", isa=None):
    """Outputs of the engine by name, as numpy arrays."""
    outputs = Session(model_file, name, isa=isa).run(inputs)
    return {key: as_array(tensor) for key, tensor in outputs.items()}


def assert_bits(model_file, inputs, expected, isas):
    """The output `y` is `expected`, its type too, on every instruction set."""
    for isa in isas:
        y = run_engine(model_file, inputs, isa=isa)["y"]
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y, expected, err_msg=isa)


def as_array(tensor):
    """A tensor of the engine as a numpy array."""
    return np.frombuffer(tensor.data, np.dtype(tensor.dtype)).reshape(tensor.shape)


def assert_same(got, expected, rtol=2e-6, atol=2e-6):
    """Equal types and shapes; integers equal, floats close."""
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].shape == value.shape, name
        assert got[name].dtype == value.dtype, name
        if value.dtype == np.float32:
            np.testing.assert_allclose(got[name], value, rtol=rtol, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(got[name], value, err_msg=name)
