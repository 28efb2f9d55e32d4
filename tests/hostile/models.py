"""Model files that must be refused: damaged, lying, or asking for what cannot be run."""

import copy
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from hostile.case import Hostile
from paths import TONES

from halfbyte.export.graph_ir import Graph, Input, Node, PackedCodes
from halfbyte.export.graph_section import Weights, graph_section
from halfbyte.export.hb_writer import container
from halfbyte.quant.codecs import CODECS

MODEL = TONES.read_bytes()
DAMAGED = "damaged|version|HALFBYTE|bytes|sections|section|padding|zero"


def entries(content: bytes) -> list[tuple[bytes, int, int, int, int]]:
    """Name, offset, size, checksum, zero of each section."""
    (count,) = struct.unpack_from("<I", content, 12)
    return [struct.unpack_from("<40sQQII", content, 64 + 64 * i) for i in range(count)]


SECTIONS = {
    name.rstrip(b"\0").decode(): MODEL[offset : offset + size]
    for name, offset, size, *_ in entries(MODEL)
}
METADATA: dict[str, Any] = json.loads(SECTIONS["meta"])


def with_header(content: bytes, **fields: Any) -> bytes:
    """The file with changed header fields and a right checksum."""
    names = ("magic", "version", "num_sections", "num_bytes", "directory_crc", "reserved")
    values = dict(zip(names, struct.unpack_from("<8sIIQI32s", content), strict=True)) | fields
    header = struct.pack("<8sIIQI32s", *values.values())
    return header + struct.pack("<I", zlib.crc32(header)) + content[64:]


def with_entry(index: int, **fields: Any) -> bytes:
    """The model with a changed directory entry and right checksums."""
    names = ("name", "offset", "num_bytes", "crc", "zero")
    table = [dict(zip(names, entry, strict=True)) for entry in entries(MODEL)]
    table[index] |= fields
    directory = b"".join(struct.pack("<40sQQII", *entry.values()) for entry in table)
    content = MODEL[:64] + directory + MODEL[64 + len(directory) :]
    return with_header(content, directory_crc=zlib.crc32(directory))


def with_sections(**sections: bytes | None) -> bytes:
    """The model with other sections; None leaves one out. `encoder` stands for `graph:encoder`."""
    names = {"encoder": "graph:encoder", "decoder": "graph:decoder"}
    changed = SECTIONS | {names.get(name, name): part for name, part in sections.items()}
    return container({name: part for name, part in changed.items() if part is not None})


def with_metadata(change: Callable[[dict[str, Any]], object]) -> bytes:
    metadata = copy.deepcopy(METADATA)
    change(metadata)
    return with_sections(meta=json.dumps(metadata).encode())


def flipped(at: int) -> bytes:
    return MODEL[:at] + bytes([MODEL[at] ^ 1 << at % 8]) + MODEL[at + 1 :]


def cut_files() -> dict[str, Hostile]:
    sizes = {0, 1, 7, 8, 11, 12, 63, 64, 65, 128, len(MODEL) - 1}
    for _, offset, size, *_ in entries(MODEL):
        sizes |= {offset - 1, offset, offset + 1, offset + size // 2, offset + size}
    sizes -= {len(MODEL)}
    return {f"cut-at-{size:06d}": Hostile(MODEL[:size], DAMAGED) for size in sorted(sizes)}


def flipped_bytes() -> dict[str, Hostile]:
    places = [0, 8, 12, 16, 23, 24, 28, 40, 59, 60, 63, 64, 70, 103, 104, 111, 112, 119, 120, 124]
    for _, offset, size, *_ in entries(MODEL):
        places += [offset, offset + size // 3, offset + size - 1]
    return {f"flipped-at-{at:06d}": Hostile(flipped(at), DAMAGED) for at in places}


def lying_headers() -> dict[str, Hostile]:
    files = {}
    for version in (0, 1, 3, 9, 2**31, 2**32 - 1):
        files[f"version-{version}"] = Hostile(with_header(MODEL, version=version), "version")
    for count in (0, 1, 4, 6, 65, 2**32 - 1):
        files[f"{count}-sections"] = Hostile(with_header(MODEL, num_sections=count), DAMAGED)
    for size in (0, 63, len(MODEL) - 1, len(MODEL) + 1, 2**63, 2**64 - 1):
        files[f"{size}-bytes"] = Hostile(with_header(MODEL, num_bytes=size), "bytes")
    files["other-magic"] = Hostile(with_header(MODEL, magic=b"BYTEHALF"), "HALFBYTE")
    files["reserved"] = Hostile(with_header(MODEL, reserved=b"\1" * 32), DAMAGED)
    files["longer"] = Hostile(MODEL + b"\0", "bytes")
    longer = with_header(MODEL + bytes(64), num_bytes=len(MODEL) + 64)
    files["unused-bytes"] = Hostile(longer, "unused")
    return files


def lying_directories() -> dict[str, Hostile]:
    first = entries(MODEL)[0][1]
    changes: list[dict[str, Any]] = [
        {"offset": 0},
        {"offset": 64},
        {"offset": first + 1},
        {"offset": first},
        {"offset": len(MODEL)},
        {"offset": 2**63},
        {"offset": 2**64 - 64},
        {"num_bytes": 0},
        {"num_bytes": 2**40},
        {"num_bytes": 2**64 - 1},
        {"offset": 2**63, "num_bytes": 2**63},
        {"crc": 0},
        {"name": b""},
        {"name": b"meta"},
        {"name": b"\xff\xfe"},
        {"name": b"a\nb"},
        {"name": b"other"},
        {"name": b"a\x1b[31m"},
    ]
    files = {}
    for index in range(1, 4):
        for number, change in enumerate(changes):
            name = f"entry-{index}-" + "-".join(f"{key}-{number:02d}" for key in change)
            files[name] = Hostile(
                with_entry(index, **change), "section|graph|decoder|bytes|padding"
            )
    return files


def missing_sections() -> dict[str, Hostile]:
    names = {"meta": "meta", "encoder": "encoder", "decoder": "decoder", "weights": "weights"}
    files = {f"no-{name}": Hostile(with_sections(**{name: None}), w) for name, w in names.items()}
    files["no-weights-bytes"] = Hostile(with_sections(weights=b""), "weights")
    files["graphs-exchanged"] = Hostile(
        with_sections(encoder=SECTIONS["graph:decoder"], decoder=SECTIONS["graph:encoder"])
    )
    files["two-encoders"] = Hostile(with_sections(decoder=SECTIONS["graph:encoder"]))
    for name in ("encoder", "decoder"):
        files[f"empty-{name}"] = Hostile(with_sections(**{name: b""}), "graph")
        for size in (3, 100, 1000):
            part = SECTIONS[f"graph:{name}"][:-size]
            files[f"{name}-cut-by-{size}"] = Hostile(with_sections(**{name: part}), "early|index")
        longer = SECTIONS[f"graph:{name}"] + bytes(4)
        files[f"{name}-longer"] = Hostile(with_sections(**{name: longer}), "left over")
        for at, number in ((0, 2**32 - 1), (0, 0), (4, 2**31), (8, 0)):
            part = bytearray(SECTIONS[f"graph:{name}"])
            part[at : at + 4] = struct.pack("<I", number)
            files[f"{name}-u32-{number}-at-{at}"] = Hostile(with_sections(**{name: bytes(part)}))
    return files


CODES = PackedCodes(np.zeros((2, 2), np.int8), CODECS["uniform4"])
ILL_TYPED: dict[str, tuple[list[Node], str]] = {
    "cycle": ([Node("Add", ["x", "b"], ["a"]), Node("Add", ["a", "x"], ["b"])], "before it is"),
    "reads-itself": ([Node("Add", ["x", "y"], ["y"])], "before it is"),
    "never-written": ([Node("Add", ["x", "c"], ["z"])], "before it is"),
    "written-twice": ([Node("Neg", ["x"], ["y"]), Node("Abs", ["x"], ["y"])], "twice"),
    "writes-an-input": ([Node("Neg", ["c"], ["x"]), Node("Abs", ["c"], ["y"])], "twice"),
    "unknown-operator": ([Node("Fly", ["x"], ["y"])], "operator 'Fly'"),
    "float-and-int": ([Node("Add", ["x", "i"], ["y"])], "Add does not take int64"),
    "too-few-inputs": ([Node("Add", ["x"], ["y"])], "Add does not take none"),
    "too-many-inputs": ([Node("Neg", ["x", "x"], ["y"])], "too many inputs"),
    "too-many-outputs": ([Node("Neg", ["x"], ["y", "z"])], "2 outputs"),
    "no-outputs": ([Node("Neg", ["x"], ["y"]), Node("Neg", ["x"], [])], "0 outputs"),
    "codes-as-floats": ([Node("Add", ["x", "p"], ["y"])], "does not take packed4"),
    "floats-as-codes": ([Node("Linear", ["x", "x", "c", "c"], ["y"])], "not take float32"),
    "cast-to-nothing": ([Node("Cast", ["x"], ["y"], {"to": 77})], "output type"),
    # Well-typed, but not what a recogniser asks of its encoder.
    "other-inputs": ([Node("Neg", ["x"], ["y"])], "features|encoder"),
}


def ill_typed_graphs() -> dict[str, Hostile]:
    files = {}
    for name, (nodes, reason) in ILL_TYPED.items():
        constants = {"c": np.float32([1, 2.1]), "i": np.int64([1]), "p": CODES}
        inputs = [Input("x", np.dtype(np.float32), ("T", 2))]
        weights = Weights()
        part = graph_section(Graph("g", nodes, constants, inputs, {"y": "y"}, []), weights)
        sections = with_sections(encoder=part, decoder=part, weights=bytes(weights.content))
        files[f"graph-{name}"] = Hostile(sections, reason)
    return files


def recognizer_graph(
    nodes: list[Node], outputs: dict[str, str], inputs: list[Input] | None = None
) -> bytes:
    """A model whose encoder has the right names, but not what they promise."""
    constants = {"ints": np.int64([1, 3, 21]), "c": np.float32([[[1.0]]])}
    weights = Weights()
    features = [Input("features", np.dtype(np.float32), ("batch", "frames", 80))]
    graph = Graph("g", nodes, constants, inputs or features, outputs, [])
    part = graph_section(graph, weights)
    return with_sections(encoder=part, decoder=part, weights=bytes(weights.content))


def wrong_shapes() -> dict[str, Hostile]:
    same = Node("Identity", ["features"], ["y"])
    both = {"encoder_out": "y", "ctc_log_probs": "y"}
    expanded = Node("Expand", ["c", "ints"], ["y"])
    integers = [Node("Cast", ["features"], ["y"], {"to": 7})]
    narrow = [Input("features", np.dtype(np.float32), ("batch", "frames", 40))]
    numbers = [Input("features", np.dtype(np.int64), ("batch", "frames", 80))]
    flat = [Input("features", np.dtype(np.float32), ("frames", 80))]
    files = {
        "80-log-probs": recognizer_graph([same], both),
        "always-3-steps": recognizer_graph([expanded], both),
        "whole-numbers": recognizer_graph(integers, both),
        "no-log-probs": recognizer_graph([same], {"encoder_out": "y"}),
        "no-encoder-out": recognizer_graph([same], {"ctc_log_probs": "y"}),
        "40-mel-bins": recognizer_graph([same], both, narrow),
        "whole-features": recognizer_graph([same], both, numbers),
        "flat-features": recognizer_graph([same], both, flat),
    }
    return {f"shape-{name}": Hostile(content) for name, content in files.items()}


def bad_json() -> dict[str, Hostile]:
    texts = {
        "empty": b"",
        "list": b"[]",
        "string": b'"meta"',
        "null": b"null",
        "open": b"{",
        "no-utf8": b'{"name": "\xff"}',
        "two-objects": b"{}{}",
        "deep": b"[" * 100_000 + b"]" * 100_000,
        "deep-value": b'{"card":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "endless-number": b'{"name": 1' + b"0" * 10_000 + b"}",
        "empty-object": b"{}",
    }
    return {f"json-{n}": Hostile(with_sections(meta=t), "meta") for n, t in texts.items()}


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], object]:
    def change(metadata: dict[str, Any]) -> None:
        *parents, key = path.split(".")
        for parent in parents:
            metadata = metadata[parent]
        metadata[key] = value

    return change


def bad_metadata() -> dict[str, Hostile]:
    values: dict[str, list[Any]] = {
        "features": [None, [], "kaldi"],
        "features.sample_rate_hz": [0, -1, 999, 10**9, "fast", None, 1e400],
        "features.num_mel_bins": [0, -80, 40, 10**6, []],
        "features.frame_length_ms": [0, 5, 10**7],
        "features.frame_shift_ms": [0, -10, 10**7],
        "features.low_hz": [-1, 9000, float("nan"), "low"],
        "features.high_hz": [10, 9000, float("inf")],
        "features.definition": ["mfcc", 1, None],
        "streaming": [None, 7],
        "streaming.subsampling": [0, -4, 2, 10**9],
        "streaming.overlap_frames": [-1, 0, 10**9],
        "streaming.chunk_steps": [0, 99, 10**9, "eight"],
        "streaming.chunk_choices_steps": [[], [0], 8, ["x"], [8, 10**9], [8, -1]],
        "streaming.left_context_steps": [-1, 10**12],
        "streaming.max_segment_ms": [0, -1, 10**12],
        "tokens": [
            *([], None, 21, METADATA["tokens"][:-1], [*METADATA["tokens"], "more"]),
            *([["a"]] * 21, [7] * 21, ["\x1b]0;title\x07"] * 21, ["two\nlines"] * 21),
        ],
        "blank_id": [-1, 21, 10**30, "0"],
        "eos_id": [-1, 21, None],
        "decoding": [None, []],
        "decoding.beam": [0, -1, 10**9, 2.5],
        "decoding.ctc_weight": [None, float("nan"), float("inf"), -1],
    }
    return {
        f"meta-{path}-{number}": Hostile(with_metadata(_set(path, value)))
        for path, choices in values.items()
        for number, value in enumerate(choices)
    }


def other_things() -> dict[str, Hostile]:
    things = {
        "text": b"a model, honestly\n" * 30,
        "zeros": bytes(4096),
        "wav": b"RIFF" + bytes(400),
        "onnx": b"\x08\x0a\x12\x07pytorch" + bytes(400),
        "zip": b"PK\3\4" + bytes(400),
        "magic-only": b"HALFBYTE",
        "magic-and-zeros": b"HALFBYTE" + bytes(4000),
        "magic-and-ones": b"HALFBYTE" + b"\xff" * 4000,
    }
    return {f"no-model-{n}": Hostile(content, DAMAGED) for n, content in things.items()}


def hostile_models() -> dict[str, Hostile]:
    """Every hostile model file by file name."""
    groups = (
        *(cut_files(), flipped_bytes(), lying_headers(), lying_directories(), missing_sections()),
        *(ill_typed_graphs(), wrong_shapes(), bad_json(), bad_metadata(), other_things()),
    )
    return {f"{name}.hb": case for group in groups for name, case in group.items()}
