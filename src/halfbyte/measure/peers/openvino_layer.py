"""OpenVINO: float32, NNCF's calibrated int8, NNCF's int4 weights with int8 activations."""

from typing import Any

import nncf
import numpy as np
import openvino

from halfbyte.measure.peers.layer import FloatArray, Peer
from halfbyte.measure.peers.onnxruntime_layer import float_model

SETTINGS = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "INFERENCE_PRECISION_HINT": "f32",
    "ENABLE_CPU_PINNING": False,
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 128,  # int8 activations; of 32, 128 and a row the fastest
}
CALIBRATION_ROWS = 64


def layers(weight: FloatArray, bias: FloatArray) -> list[Peer]:
    """One layer, weight (K, N) and bias (N), in every format."""
    core = openvino.Core()
    source = float_model(weight, bias)

    def read() -> Any:
        return core.read_model(source, b"")

    rows = np.random.default_rng(2).standard_normal((CALIBRATION_ROWS, len(weight)))
    calibration = nncf.Dataset([{"x": rows.astype(np.float32)}])
    int8 = nncf.quantize(read(), calibration, subset_size=1)
    int4 = nncf.compress_weights(
        read(), mode=nncf.CompressWeightsMode.INT4_SYM, group_size=-1, ratio=1.0, all_layers=True
    )
    nothing = request(core, core.read_model(float_model(weight[:8, :8], bias[:8]), b""))
    one = np.zeros((1, 8), np.float32)

    def peer(name: str, model: Any) -> Peer:
        opened = request(core, model)
        return Peer(
            f"openvino {name}",
            lambda x: lambda: opened.infer([x], share_inputs=True)[0],
            lambda: lambda: nothing.infer([one], share_inputs=True),
        )

    return [peer("float32", read()), peer("int8 static", int8), peer("int4", int4)]


def request(core: Any, model: Any) -> Any:
    """A model ready to run on one thread of the CPU."""
    return core.compile_model(model, "CPU", SETTINGS).create_infer_request()
