"""The same linear layer in other runtimes, each quantised by its own tools, on one thread."""

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Call = Callable[[], object]

LARGEST_ERROR = {"float32": 1e-3, "int8": 0.05, "int4": 0.25}  # of the layer's standard deviation
RUNTIMES = ("onnxruntime", "torch", "torchao", "openvino", "litert")


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


def open_peers(k: int, n: int) -> tuple[list[Peer], dict[str, str]]:
    """Every runtime that is installed, checked against the float product.

    Returns:
        The peers, and why runtimes are left out.

    Raises:
        SystemExit: a peer does not compute the layer.
    """
    random = np.random.default_rng(1)
    weight = (random.standard_normal((k, n)) / np.sqrt(k)).astype(np.float32)
    bias = random.standard_normal(n).astype(np.float32)
    peers: list[Peer] = []
    absent: dict[str, str] = {}
    for runtime in RUNTIMES:
        try:
            with quiet():
                module = importlib.import_module(f"halfbyte.measure.peers.{runtime}_layer")
                peers += module.layers(weight, bias)
        except Exception as error:  # whatever another's tool raises
            absent[runtime] = reason(error)
    x = random.standard_normal((3, k)).astype(np.float32)
    for peer in peers:
        error_size = float(np.abs(np.asarray(peer.prepare(x)()) - (x @ weight + bias)).mean())
        if error_size > LARGEST_ERROR[peer.name.split()[1]]:
            raise SystemExit(f"{peer.name} is off by {error_size:.3g} on average: another layer")
    return peers, absent


def reason(error: Exception) -> str:
    """An error of another's tool in one line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences what other runtimes' tools have to say."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
