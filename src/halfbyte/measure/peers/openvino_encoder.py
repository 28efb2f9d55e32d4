"""OpenVINO: the encoder in float32, NNCF's calibrated int8 and its int4 weights."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino

from halfbyte.families.family import following_name
from halfbyte.measure.encoder_models import NUM_BINS, Shape, Subject
from halfbyte.measure.encoder_runners import Floats, Opener, Step
from halfbyte.measure.peers.openvino_layer import request

CALIBRATION_CHUNKS = 4


def openers(folder: Path, subject: Subject, shape: Shape) -> dict[str, Opener]:
    """One for each format."""
    core = openvino.Core()
    state = subject.initial_state(shape)
    source = folder / "float32.onnx"
    makers = {
        "float32": lambda: core.read_model(source),
        "int8 static": lambda: _int8(core.read_model(source), _calibration(subject, shape)),
        "int4": lambda: _int4(core.read_model(source)),
    }

    def open_step(form: str, make: Callable[[], Any]) -> Step:
        path = folder / f"openvino-{form.split()[0]}.xml"
        if not path.exists():
            openvino.save_model(make(), path, compress_to_fp16=False)
        return _step(request(core, core.read_model(path)), state)

    return {f"openvino {form}": partial(open_step, form, make) for form, make in makers.items()}


def _int8(source: Any, calibration: list[dict[str, Any]]) -> Any:
    # Random weights have no accuracy to mend; both parts that are off take minutes.
    return nncf.quantize(
        source,
        nncf.Dataset(calibration),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=CALIBRATION_CHUNKS,
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            disable_bias_correction=True,
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1),
        ),
    )


def _int4(source: Any) -> Any:
    mode = nncf.CompressWeightsMode.INT4_SYM
    return nncf.compress_weights(source, mode=mode, group_size=-1, ratio=1.0, all_layers=True)


def _calibration(subject: Subject, shape: Shape) -> list[dict[str, Any]]:
    random = np.random.default_rng(2)
    size = (1, subject.num_frames(shape), NUM_BINS)
    state = subject.initial_state(shape)
    return [
        state | {"features": random.normal(12.0, 3.0, size).astype(np.float32)}
        for _ in range(CALIBRATION_CHUNKS)
    ]


def _step(opened: Any, state: dict[str, Any]) -> Step:
    inputs: dict[str, Any] = dict(state)

    def step(features: Floats) -> Floats:
        results = opened.infer(inputs | {"features": features}, share_inputs=True)
        for name in state:
            inputs[name] = results[following_name(name)]
        encoded: Floats = results["encoder_out"]
        return encoded

    return step
