"""LiteRT with XNNPACK: float32, qd8-qc8w and qd8-qc4w, quantised by litert-quantizer."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from litert_quantizer import quantizer, recipe

from halfbyte.measure.peers.layer import Call, FloatArray, Peer

SCHEMA_VERSION = 3
RECIPES = {
    "int8 qd8-qc8w": recipe.dynamic_wi8_afp32,
    "int4 qd8-qc4w": recipe.dynamic_wi4_afp32,
}


def layers(weight: FloatArray, bias: FloatArray) -> list[Peer]:
    """One layer, weight (K, N) and bias (N), in every format."""
    floats = _float_model(weight, bias)
    peers = [_peer("float32", floats)]
    for name, make_recipe in RECIPES.items():
        quantized = quantizer.Quantizer(floats, make_recipe()).quantize()
        peers.append(_peer(name, bytes(quantized.quantized_model or b"")))
    return peers


def _peer(name: str, model: bytes) -> Peer:
    def prepare(x: FloatArray) -> Call:
        interpreter = Interpreter(model_content=model, num_threads=1)
        source = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(source, x.shape)
        interpreter.allocate_tensors()
        target = interpreter.get_output_details()[0]["index"]

        def call() -> object:
            interpreter.set_tensor(source, x)
            interpreter.invoke()
            return interpreter.get_tensor(target)

        return call

    def empty() -> Call:
        tiny = _peer("nothing", _float_model(np.zeros((8, 8), np.float32), np.zeros(8, np.float32)))
        return tiny.prepare(np.zeros((1, 8), np.float32))

    return Peer(f"litert {name}", prepare, empty)


def _float_model(weight: FloatArray, bias: FloatArray) -> bytes:
    """A .tflite file of one fully connected layer."""
    k, n = weight.shape
    code = schema.BuiltinOperator.FULLY_CONNECTED
    node = schema.OperatorT(
        inputs=[0, 1, 2],
        outputs=[3],
        builtinOptionsType=schema.BuiltinOptions.FullyConnectedOptions,
        builtinOptions=schema.FullyConnectedOptionsT(keepNumDims=True),
    )
    graph = schema.SubGraphT(
        name="layer",
        tensors=[
            _tensor("x", [1, k], 0),
            _tensor("w", [n, k], 1),
            _tensor("b", [n], 2),
            _tensor("y", [1, n], 0),
        ],
        inputs=[0],
        outputs=[3],
        operators=[node],
    )
    data = [np.ascontiguousarray(weight.T), bias]
    model = schema.ModelT(
        version=SCHEMA_VERSION,
        operatorCodes=[schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code)],
        subgraphs=[graph],
        buffers=[schema.BufferT()] + [schema.BufferT(data=_bytes(part)) for part in data],
    )
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _tensor(name: str, shape: list[int], buffer: int) -> Any:
    return schema.TensorT(
        name=name, shape=shape, type=schema.TensorType.FLOAT32, buffer=buffer, hasRank=True
    )


def _bytes(values: FloatArray) -> Any:
    return values.reshape(-1).view(np.uint8)
