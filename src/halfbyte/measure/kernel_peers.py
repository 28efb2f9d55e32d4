"""The same linear layer in other runtimes, each quantised by its own tools, on one thread."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Call = Callable[[], object]

LARGEST_ERROR = {"float32": 1e-3, "int8": 0.05, "int4": 0.25}  # of the layer's standard deviation
OPSET = 21


@dataclass(frozen=True)
class Peer:
    """A runtime with a layer in it.

    Attributes:
        name: runtime and number format.
        prepare: takes x (M, K) and returns a call that computes the layer on it.
        empty: returns a call of the runtime that computes nothing.
    """

    name: str
    prepare: Callable[[FloatArray], Call]
    empty: Callable[[], Call]


def open_peers(k: int, n: int) -> list[Peer]:
    """Every runtime that is installed, checked against the float product."""
    random = np.random.default_rng(1)
    weight = (random.standard_normal((k, n)) / np.sqrt(k)).astype(np.float32)
    bias = random.standard_normal(n).astype(np.float32)
    peers = [*_onnxruntime_peers(weight, bias), *_torch_peers(weight, bias)]
    x = random.standard_normal((3, k)).astype(np.float32)
    for peer in peers:
        result = np.asarray(peer.prepare(x)())
        error = float(np.abs(result - (x @ weight + bias)).mean())
        if error > LARGEST_ERROR[peer.name.split()[1]]:
            raise SystemExit(f"{peer.name} is off by {error:.3g} on average: not the same layer")
    return peers


def _onnxruntime_peers(weight: FloatArray, bias: FloatArray) -> list[Peer]:
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3

    def session(model: Any) -> Any:
        return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])

    nothing = session(_identity_model())
    one = {"x": np.zeros((1, 8), np.float32)}

    def peer(name: str, model: Any) -> Peer:
        opened = session(model)
        return Peer(
            f"onnxruntime {name}",
            lambda x: lambda: opened.run(None, {"x": x})[0],
            lambda: lambda: nothing.run(None, one),
        )

    with tempfile.TemporaryDirectory() as folder:
        floats, int8 = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        floats.write_bytes(_float_model(weight, bias))
        quantize_dynamic(floats, int8, weight_type=QuantType.QInt8)
        return [
            peer("float32", floats),
            peer("int8", int8),
            peer("int4 block 32", _nbits_model(weight, bias, 32)),
            peer("int4 block 128", _nbits_model(weight, bias, 128)),
        ]


def _model(nodes: list[Any], constants: dict[str, Any], k: int, n: int) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", k])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", n])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    return model


def _identity_model() -> bytes:
    from onnx import helper

    return _model([helper.make_node("Identity", ["x"], ["y"])], {}, 8, 8)


def _float_model(weight: FloatArray, bias: FloatArray) -> bytes:
    from onnx import helper

    product = helper.make_node("MatMul", ["x", "w"], ["product"])
    add = helper.make_node("Add", ["product", "b"], ["y"])
    return _model([product, add], {"w": weight, "b": bias}, *weight.shape)


def _nbits_model(weight: FloatArray, bias: FloatArray, block: int) -> bytes:
    """MatMulNBits: 4 bits, one scale a block of inputs, int8 activations (accuracy level 4)."""
    from onnx import helper

    k, n = weight.shape
    blocks = weight.T.reshape(n, k // block, block)
    scales = np.maximum(np.abs(blocks).max(axis=2), 1e-6).astype(np.float32) / 7
    codes = np.clip(np.rint(blocks / scales[:, :, None]) + 8, 0, 15).astype(np.uint8)
    packed = codes[:, :, ::2] | codes[:, :, 1::2] << 4
    node = helper.make_node(
        "MatMulNBits",
        ["x", "w", "s", "", "", "b"],
        ["y"],
        domain="com.microsoft",
        **{"K": k, "N": n, "bits": 4, "block_size": block, "accuracy_level": 4},
    )
    return _model([node], {"w": packed, "s": scales.reshape(-1), "b": bias}, k, n)


def _torch_peers(weight: FloatArray, bias: FloatArray) -> list[Peer]:
    import warnings

    import torch

    torch.set_num_threads(1)
    layer = torch.nn.Linear(*weight.shape)
    layer.weight.data, layer.bias.data = torch.from_numpy(weight.T.copy()), torch.from_numpy(bias)
    with warnings.catch_warnings():  # torch tells users of this to move to torchao
        warnings.simplefilter("ignore")
        quantized = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(layer))
    nothing, one = torch.nn.Identity(), torch.zeros(1, 8)

    def peer(name: str, module: Any) -> Peer:
        def prepare(x: FloatArray) -> Call:
            tensor = torch.from_numpy(x)

            def call() -> object:
                with torch.inference_mode():
                    return module(tensor)

            return call

        def empty() -> Call:
            def call() -> object:
                with torch.inference_mode():
                    return nothing(one)

            return call

        return Peer(f"torch {name}", prepare, empty)

    return [peer("float32", layer), peer("int8", quantized)]
