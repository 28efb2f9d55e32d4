"""`halfbyte info`: what is inside a model file, and whether it computes what it should."""

import argparse
import json
from pathlib import Path
from typing import Any

from halfbyte.engine import ModelFile
from halfbyte.engine.model_file import Layer
from halfbyte.engine.test_vector import vector_differences
from halfbyte.errors import ConfigError, ModelFileError
from halfbyte.listen.recognizer import default_model

FLOAT_BITS = 32

EPILOG = """\
examples:
  halfbyte info
  halfbyte info en-voice.hb
  halfbyte info en-voice.hb --layers
  halfbyte info en-voice.hb --json | jq .test_vector
  halfbyte info --verify runs/en-voice               what is deployed is what was trained
  halfbyte info en-voice.hb --verify models/en-voice
  halfbyte info en-voice.hb --audit                  refuse a float operation in the encoder
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte info`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "model", nargs="?", metavar="M.hb", help="model file (default: the one included)"
    )
    parser.add_argument("--layers", action="store_true", help="every layer with bits and bytes")
    parser.add_argument("--json", action="store_true", help="print everything as a JSON object")
    parser.add_argument(
        "--audit",
        action="store_true",
        help="refuse, with its name, any operator between features and logits that computes in "
        "floating point",
    )
    parser.add_argument(
        "--verify",
        type=Path,
        metavar="RUN",
        help="compare every quantised layer of a run or checkpoint with M.hb, or, if none is "
        "named, with a file compiled from it now",
    )


def run(options: argparse.Namespace) -> int:
    """Print what a model file holds; its test vector is run on this machine.

    With `--verify` every quantised layer is compared with the trained one instead.

    Raises:
        ModelFileError: the file is missing, damaged or of another version, or a layer differs.
        ConfigError: RUN is no checkpoint and no run that has ended, or of a float32 model.
    """
    if options.verify:
        return _verify(options)
    file = ModelFile(options.model or default_model())
    if options.audit:
        return _audit(file, options.json)
    stored = file.stored_layers()
    num_parameters = sum(layer.num_parameters for layer in stored)
    facts = {
        "name": file.metadata.get("name", ""),
        "bytes": file.num_bytes,
        "parameters": num_parameters,
        "bits_per_parameter": 8 * file.num_bytes / max(1, num_parameters),
        "sections": file.sections,
        "layers_by_operator": _by_operator(stored),
        "streaming": _object(file, "streaming"),
        "card": _object(file, "card"),
        "test_vector": {one.output: one.largest for one in vector_differences(file)},
    }
    if options.json:
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    _print_facts(facts)
    if options.layers:
        _print_layers({graph: file.layers(graph) for graph in file.graph_names})
    return 0


def _verify(options: argparse.Namespace) -> int:
    from halfbyte.measure.deployed import raise_if_different, verify

    checks = verify(options.verify, Path(options.model) if options.model else None)
    if not checks:
        raise ConfigError(
            f"{options.verify} has no quantised layer, so there are no codes to compare; "
            "it was trained as float32"
        )
    raise_if_different(checks)
    num_weights = sum(check.num_weights for check in checks)
    bits = sum(check.bits_per_weight * check.num_weights for check in checks) / max(1, num_weights)
    if options.json:
        layers = [vars(check) | {"bits_per_weight": check.bits_per_weight} for check in checks]
        print(json.dumps({"equal": True, "bits_per_weight": bits, "layers": layers}))
        return 0
    for check in checks:
        print(
            f"  {check.number_format:<6} {check.bits_per_weight:6.3f} bits/weight "
            f"{check.num_bytes:>9,} bytes  equal  {check.name}"
        )
    print(
        f"{options.verify}: {len(checks)} quantised layers, {num_weights:,} codes equal to the "
        f"deployed ones; {bits:.3f} bits per weight, scales and biases counted"
    )
    return 0


def _audit(file: ModelFile, as_json: bool) -> int:
    graph = file.hearing_graph
    audit = file.audit(graph)
    if audit.floating:
        raise ModelFileError(
            f"{file.path}: the {graph} is not integer-only: {len(audit.floating)} operators "
            f"compute in floating point: {_named(audit.floating)}; train with "
            "quantization.arithmetic=integer"
        )
    if as_json:
        facts = {"integer_only": True, "integer": audit.integer, "boundary": audit.boundary}
        print(json.dumps(facts))
        return 0
    for op, value in audit.boundary:
        print(f"  at the boundary: {op} ({_shown(value)})")
    others = ", ".join(name for name in file.graph_names if name != graph)
    print(
        f"{file.path}: the {graph} is integer-only: {len(audit.integer)} operators, none of them "
        f"in floating point; not audited: {others or 'nothing'}"
    )
    return 0


def _named(nodes: list[tuple[str, str]]) -> str:
    """Operators of a kind together: Mul (#3, #7), Silu (#9)."""
    by_operator: dict[str, list[str]] = {}
    for op, value in nodes:
        by_operator.setdefault(op, []).append(_shown(value))
    return ", ".join(f"{op} ({', '.join(values)})" for op, values in by_operator.items())


def _object(file: ModelFile, key: str) -> dict[str, Any]:
    value = file.metadata.get(key, {})
    if not isinstance(value, dict):
        raise ModelFileError(f"{file.path}: {key!r} in its metadata is no JSON object")
    return value


def _by_operator(layers: list[Layer]) -> dict[str, dict[str, int]]:
    """Operator and number format -> number of layers, parameters and bytes."""
    table: dict[str, dict[str, int]] = {}
    for layer in layers:
        row = table.setdefault(layer.kind, {"layers": 0, "parameters": 0, "bytes": 0})
        row["layers"] += 1
        row["parameters"] += layer.num_parameters
        row["bytes"] += layer.num_bytes
    return table


def _print_facts(facts: dict[str, Any]) -> None:
    bits = facts["bits_per_parameter"]
    print(
        f"{_shown(facts['name'])}: {facts['bytes']:,} bytes, {facts['parameters']:,} parameters; "
        f"everything counted {bits:.3f} bits each, {FLOAT_BITS / max(bits, 1e-9):.2f} times "
        "smaller than in float32"
    )
    for section, size in facts["sections"].items():
        print(f"  section {section:<16} {size:>10,} bytes")
    for operator, row in facts["layers_by_operator"].items():
        print(
            f"  {operator:<24} {row['layers']:>3} layers {row['parameters']:>10,} parameters "
            f"{row['bytes']:>10,} bytes"
        )
    for name, value in facts["streaming"].items():
        print(f"  {_shown(name)}: {_shown(value)}")
    for name, difference in facts["test_vector"].items():
        print(f"  test vector, {name}: largest difference from the training graph {difference:.3g}")
    for name, value in facts["card"].items():
        print(f"  {_shown(name)}: {_shown(value)}")


def _shown(value: Any) -> str:
    """Text for a terminal, which a file does not get to steer."""
    return text if (text := str(value)).isprintable() else json.dumps(value)


def _print_layers(layers: dict[str, list[Layer]]) -> None:
    for graph, group in layers.items():
        for layer in group:
            shape = " × ".join(str(size) for size in layer.shape)
            print(
                f"  {graph:<8} {layer.kind:<20} {shape:<12} {layer.num_bytes:>9,} bytes "
                f"{layer.bits_per_weight:>7.3f} bits/weight {layer.name}"
            )
