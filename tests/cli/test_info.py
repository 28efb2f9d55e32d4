"""`halfbyte info`: what is in a file, and whether this machine computes what it should."""

import json
import struct

import numpy as np
import pytest
from paths import TONES

from halfbyte.engine import ModelFile
from halfbyte.export.hb_writer import container, tensor_section


def test_json_adds_up(halfbyte):
    done = halfbyte("info", TONES, "--json")
    assert (done.status, done.err, done.out.count("\n")) == (0, "", 1)
    facts = json.loads(done.out)
    assert facts["name"] == "tones"
    assert facts["bytes"] == TONES.stat().st_size
    assert sum(facts["sections"].values()) <= facts["bytes"]
    layers = facts["layers_by_operator"]
    assert facts["parameters"] == sum(row["parameters"] for row in layers.values())
    assert {"Linear w4a8", "Embedding w4"} <= layers.keys()
    for row in (layers["Linear w4a8"], layers["Embedding w4"]):
        assert 0.5 <= row["bytes"] / row["parameters"] < 1.2  # half a byte, padding and scales
    assert facts["streaming"]["subsampling"] == 4
    assert facts["test_vector"].keys() == {"encoder_out", "ctc_log_probs"}
    assert max(facts["test_vector"].values()) < 0.1


def test_for_people(halfbyte):
    done = halfbyte("info", TONES, "--layers")
    assert (done.status, done.err) == (0, "")
    first, *lines = done.out.splitlines()
    assert first.startswith(f"tones: {TONES.stat().st_size:,} bytes, ")
    file = ModelFile(TONES)
    for graph in file.graph_names:
        for layer in file.layers(graph):
            assert any(layer.name in line and layer.kind in line for line in lines)
    assert any("largest difference from the training graph" in line for line in lines)


def rewritten(path, **changes: bytes | None):
    """The model with sections changed, or left out where None; checksums are right."""
    file = ModelFile(TONES)
    sections = {name: file.core.section(name) for name in file.sections} | changes
    path.write_bytes(container({n: bytes(s) for n, s in sections.items() if s is not None}))
    return path


def test_a_file_without_a_test_vector(halfbyte, tmp_path):
    done = halfbyte("info", rewritten(tmp_path / "m.hb", test=None), "--json")
    assert json.loads(done.out)["test_vector"] == {}


def vector(**changes) -> bytes:
    tensors = ModelFile(TONES).test_vector()
    arrays = {name: np.asarray(tensor.view()) for name, tensor in tensors.items()} | changes
    return tensor_section({n: a for n, a in arrays.items() if a is not None})


@pytest.mark.parametrize(
    "section",
    [
        b"",
        struct.pack("<I", 1000),
        vector()[:-4],
        vector(**{"output.nothing": np.zeros(3, np.float32)}),
        vector(**{"output.encoder_out": np.zeros((1, 2, 3), np.float32)}),
        vector(**{"input.features": np.zeros((1, 3), np.float32)}),
        vector(**{"input.features": np.full((1, 20, 80), np.nan, np.float32)}),
        vector(**{"input.nothing": np.zeros(3, np.float32)}),
    ],
    ids=["empty", "count", "short", "output", "shape", "rank", "NaN", "input"],
)
def test_a_test_vector_that_cannot_be_checked_is_one_line(halfbyte, tmp_path, section):
    done = halfbyte("info", rewritten(tmp_path / "m.hb", test=section), "--json")
    assert done.is_mistake(), done


@pytest.mark.parametrize(
    "metadata",
    [b"{}", b"[]", b"not JSON", b'{"streaming": 3, "card": []}', b'{"card": 7}'],
    ids=repr,
)
@pytest.mark.parametrize("words", [[], ["--json"]], ids=["table", "json"])
def test_metadata_of_any_kind_are_shown_or_refused_in_one_line(halfbyte, tmp_path, metadata, words):
    done = halfbyte("info", rewritten(tmp_path / "m.hb", meta=metadata), *words)
    assert done.status == 0 or done.is_mistake()


def test_without_a_path_the_model_that_comes_with_the_package(halfbyte):
    done = halfbyte("info", "--json")
    assert (done.status, done.err, json.loads(done.out)["name"]) == (0, "", "en-voice")
