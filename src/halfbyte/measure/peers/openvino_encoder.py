"""OpenVINO: the encoder in float32, NNCF's calibrated int8 and its int4 weights."""

from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino

from halfbyte.measure.encoder_models import NUM_BINS, Shape, initial_state
from halfbyte.measure.encoder_runners import Floats, Step
from halfbyte.measure.peers.openvino_layer import request
from halfbyte.models.u2 import U2

CALIBRATION_CHUNKS = 4


def steps(folder: Path, model: U2, shape: Shape) -> dict[str, Step]:
    """One step for each format."""
    core = openvino.Core()
    files = {form: folder / f"openvino-{form}.xml" for form in ("int8", "int4")}
    state = initial_state(model, shape)
    if not all(path.exists() for path in files.values()):
        source = folder / "float32.onnx"
        int8 = nncf.quantize(
            core.read_model(source),
            nncf.Dataset(_calibration(model, shape)),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=CALIBRATION_CHUNKS,
            # random weights have no accuracy to mend; both take minutes and no time in use
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                disable_bias_correction=True,
                smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1),
            ),
        )
        int4 = nncf.compress_weights(
            core.read_model(source),
            mode=nncf.CompressWeightsMode.INT4_SYM,
            group_size=-1,
            ratio=1.0,
            all_layers=True,
        )
        for form, quantized in (("int8", int8), ("int4", int4)):
            openvino.save_model(quantized, files[form], compress_to_fp16=False)
    paths = {
        "float32": folder / "float32.onnx",
        "int8 static": files["int8"],
        "int4": files["int4"],
    }
    return {
        f"openvino {name}": _step(request(core, core.read_model(path)), state)
        for name, path in paths.items()
    }


def _calibration(model: U2, shape: Shape) -> list[dict[str, Any]]:
    random = np.random.default_rng(2)
    size = (1, shape.num_frames(model), NUM_BINS)
    state = initial_state(model, shape)
    return [
        state | {"features": random.normal(12.0, 3.0, size).astype(np.float32)}
        for _ in range(CALIBRATION_CHUNKS)
    ]


def _step(opened: Any, state: dict[str, Any]) -> Step:
    inputs: dict[str, Any] = dict(state)

    def step(features: Floats) -> Floats:
        results = opened.infer(inputs | {"features": features}, share_inputs=True)
        for name in state:
            inputs[name] = results["next." + name.removeprefix("state.")]
        encoded: Floats = results["encoder_out"]
        return encoded

    return step
