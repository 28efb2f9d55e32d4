"""What an ONNX graph must have before anything is made of it: nodes in order, a known version."""

from collections.abc import Iterable

import onnx

from halfbyte.errors import UsageError
from halfbyte.ops.operator import DOMAIN

OLDEST_OPSET = 13  # from there on our rules (lower.py) know what operators mean
_ONNX_DOMAINS = ("", "ai.onnx")


def check_onnx(model: onnx.ModelProto, name: str) -> None:
    """Whether the graph has nodes, each of which reads what is written before, once.

    Raises:
        UsageError: it has none, a value is read before it is written (as in a cycle) or written
            twice, a function calls itself, or the operators are of a version that we do not know.
    """
    _check_opsets(model, name)
    _check_functions(model, name)
    graph = model.graph
    if not graph.node:
        raise UsageError(f"graph {name} has no nodes; export it again")
    for tensor in graph.initializer:
        if any(size < 0 for size in tensor.dims):
            raise UsageError(f"graph {name}: {tensor.name} has a negative size; export it again")
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        for missing in (value for value in node.input if value and value not in known):
            raise UsageError(
                f"graph {name}: {node.op_type} reads {missing!r}, which nothing before it writes "
                "(nodes must be in order, without cycles); export it again"
            )
        for written in filter(None, node.output):
            if written in known:
                raise UsageError(
                    f"graph {name}: {node.op_type} writes {written!r}, which is there already; "
                    "export it again"
                )
            known.add(written)
    for value in graph.output:
        if value.name not in known:
            raise UsageError(
                f"graph {name}: nothing writes its output {value.name!r}; export it again"
            )


def _check_opsets(model: onnx.ModelProto, name: str) -> None:
    newest = onnx.defs.onnx_opset_version()
    given = [one.version for one in model.opset_import if one.domain in _ONNX_DOMAINS]
    if len(given) != 1 or not OLDEST_OPSET <= given[0] <= newest:
        raise UsageError(
            f"graph {name} is of opset {', '.join(map(str, given)) or 'none'}; expected "
            f"{OLDEST_OPSET} to {newest}: export it with such an opset"
        )
    ours = [one.version for one in model.opset_import if one.domain == DOMAIN]
    if ours not in ([], [1]):
        raise UsageError(
            f"graph {name} has version {ours[0]} of the operators of {DOMAIN}; this version knows "
            "1: export it again, or use a newer halfbyte"
        )


def _check_functions(model: onnx.ModelProto, name: str) -> None:
    """Functions call earlier ones only, in some order: else inlining them would not end."""
    calls = {
        (one.domain, one.name): {(node.domain, node.op_type) for node in one.node}
        for one in model.functions
    }
    left = dict(calls)
    while left:
        ready = [key for key, called in left.items() if called.isdisjoint(left)]
        if not ready:
            raise UsageError(
                f"graph {name}: the functions {_names(left)} call themselves; export it again"
            )
        for key in ready:
            del left[key]


def _names(functions: Iterable[tuple[str, str]]) -> str:
    return ", ".join(sorted(f"{domain}::{name}" for domain, name in functions))
