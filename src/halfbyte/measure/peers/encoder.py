"""The encoder in runtimes that need not be installed, each quantised by its own tools."""

import importlib
from pathlib import Path

from halfbyte.measure.encoder_models import Shape, Subject
from halfbyte.measure.encoder_runners import Step
from halfbyte.measure.peers.layer import quiet, reason

RUNTIMES = ("torchao", "openvino", "litert")


def open_encoders(
    folder: Path, subject: Subject, shape: Shape
) -> tuple[dict[str, Step], dict[str, str]]:
    """Every runtime that is installed.

    Args:
        folder: of this shape: has float32.onnx; what is made from it is kept there.
        subject: with float32 weights.
        shape: of every call.

    Returns:
        Steps by name, and why runtimes or formats of them are left out.
    """
    steps: dict[str, Step] = {}
    absent: dict[str, str] = {}
    for runtime in RUNTIMES:
        try:
            with quiet():
                module = importlib.import_module(f"halfbyte.measure.peers.{runtime}_encoder")
                openers = module.openers(folder, subject, shape)
        except Exception as error:  # whatever another's tool raises
            absent[runtime] = reason(error)
            continue
        for name, open_step in openers.items():
            try:
                with quiet():
                    steps[name] = open_step()
            except Exception as error:
                absent[name] = reason(error)
    return steps, absent
