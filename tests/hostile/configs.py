"""Configurations that must be refused, with what the line must name."""

import copy

import yaml
from hostile.case import Hostile

GOOD = {
    "family": "u2",
    "data": {"train": ["t.jsonl"]},
    "tokens": {"kind": "characters", "size": 9},
}
# Each line holds the one before nine times: half a gigabyte if anybody writes it out.
BOMB = "  a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"  {name}: &{name} [{','.join([f'*{below}'] * 9)}]\n"
    for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def no_yaml() -> dict[str, Hostile]:
    texts = {
        "open-bracket": b"model: {",
        "tabs": b"model:\n\twidth: 3",
        "two-values": b"a: 1: 2",
        "no-utf8": b"name: \xff\xfe\xfd",
        "zero-bytes": b"name: \0\0",
        "png": b"\x89PNG\r\n\x1a\n" + bytes(30),
        "python-object": b"name: !!python/object/apply:os.system ['true']",
        "unknown-tag": b"name: !secret 3",
        "unknown-alias": b"name: *nobody",
        "list": b"- 1\n- 2",
        "string": b"just words",
        "number": b"3",
        "two-documents": b"name: a\n---\nname: b\n",
        "deep": b"[" * 20_000,
        "bomb": f"bomb:\n{BOMB}".encode(),
        "bomb-as-a-name": f"name:\n{BOMB}".encode(),
        "bomb-as-a-list": f"data:\n train:\n{BOMB}".encode(),
        "endless": b"a: &a [*a]\nname: *a\n",
        "twice": b"name: a\nname: b\nname: [\n",
    }
    return {name: Hostile(text, "config|YAML|holds|key|expected") for name, text in texts.items()}


def unknown_keys() -> dict[str, Hostile]:
    """A key that is nearly right is answered with the right one."""
    nearest = {
        "nmae": "name",
        "sed": "seed",
        "modle": "model",
        "data.trian": "train",
        "data.batch_seconds": "batch_s",
        "features.num_mels": "num_mel_bins",
        "tokens.sise": "size",
        "model.encoder.widht": "width",
        "quantization.defualt": "default",
        "optimizer.peak_rat": "peak_rate",
        "loop.epoch": "epochs",
        "loop.device": "devices",
    }
    return {
        f"unknown-{path}": Hostile(_with(path, 3), f"{path}.*did you mean '{known}'")
        for path, known in nearest.items()
    }


def ill_typed_keys() -> dict[str, Hostile]:
    values: dict[str, list[object]] = {
        "name": [3, None, ["a"], {}],
        "seed": ["one", 1.5, True, None],
        "data": [3, "x", None, []],
        "data.train": ["t.jsonl", 3, {"a": 1}, [3], [["a"]]],
        "data.batch_s": ["long", True, None, [1]],
        "tokens.size": ["nine", 9.5, None],
        "model.encoder": [7, []],
        "model.encoder.width": ["wide", 64.5, [64]],
        "quantization.layers": [["a"], "w4a8", {"a": 3}],
        "quantization.default": [4, None],
        "optimizer.peak_rate": ["fast", None, {}],
        "loop.epochs": ["many", 2.5, None, [3]],
        "loop.devices": ["two", True],
    }
    return {
        f"typed-{path}-{number}": Hostile(_with(path, value), path.replace(".", r"\."))
        for path, choices in values.items()
        for number, value in enumerate(choices)
    }


def _with(path: str, value: object) -> bytes:
    tree: dict = copy.deepcopy(GOOD)
    *parents, key = path.split(".")
    section = tree
    for parent in parents:
        section = section.setdefault(parent, {})
    section[key] = value
    return yaml.safe_dump(tree).encode()


def hostile_configs() -> dict[str, Hostile]:
    """Every hostile configuration by file name."""
    groups = (no_yaml(), unknown_keys(), ill_typed_keys())
    return {f"{name}.yaml": case for group in groups for name, case in group.items()}
