"""ONNX Runtime: float32, its dynamic int8, its 4-bit blocks (MatMulNBits)."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from halfbyte.measure.peers.layer import FloatArray, Peer

OPSET = 21


def layers(weight: FloatArray, bias: FloatArray) -> list[Peer]:
    """One layer, weight (K, N) and bias (N), in every format."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3

    def session(model: Any) -> Any:
        return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])

    nothing = session(_model([helper.make_node("Identity", ["x"], ["y"])], {}, 8, 8))
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
        floats.write_bytes(float_model(weight, bias))
        quantize_dynamic(floats, int8, weight_type=QuantType.QInt8)
        return [
            peer("float32", floats),
            peer("int8", int8),
            peer("int4 block 32", _nbits_model(weight, bias, 32)),
            peer("int4 block 128", _nbits_model(weight, bias, 128)),
        ]


def _model(nodes: list[Any], constants: dict[str, Any], k: int, n: int) -> bytes:
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


def float_model(weight: FloatArray, bias: FloatArray) -> bytes:
    """The layer as an ONNX file."""
    product = helper.make_node("MatMul", ["x", "w"], ["product"])
    add = helper.make_node("Add", ["product", "b"], ["y"])
    k, n = weight.shape
    return _model([product, add], {"w": weight, "b": bias}, k, n)


def _nbits_model(weight: FloatArray, bias: FloatArray, block: int) -> bytes:
    """MatMulNBits: 4 bits, one scale a block of inputs, int8 activations (accuracy level 4)."""
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
