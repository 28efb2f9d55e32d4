"""Metadata of a model file: read when right, refused in one line when not."""

import json

import pytest
from listen.metadata import METADATA, changed

from halfbyte import ModelFileError
from halfbyte.listen.settings import read_settings


def test_what_a_file_says():
    settings = read_settings(METADATA)
    assert (settings.sample_rate_hz, settings.num_mel_bins, settings.high_hz) == (16000, 80, 0.0)
    assert settings.step_ms == 40
    assert settings.chunk_steps in settings.chunk_choices_steps
    assert (settings.family, settings.default_mode) == ("u2", "rescoring")
    assert settings.modes == ["rescoring", "prefix_beam", "greedy", "attention"]


REQUIRED = [f"features.{key}" for key in METADATA["features"] if key != "type"]
REQUIRED += [f"streaming.{key}" for key in METADATA["streaming"]]
REQUIRED += ["features", "streaming", "decoding", "tokens", "blank_id", "eos_id", "family"]
REQUIRED += ["decoding.modes", "decoding.beam", "decoding.ctc_weight"]


@pytest.mark.parametrize("path", REQUIRED)
@pytest.mark.parametrize(
    "value", [KeyError, "many", None, []], ids=["missing", "str", "null", "[]"]
)
def test_a_setting_that_is_missing_or_of_another_type(path, value):
    with pytest.raises(ModelFileError, match=r"metadata|family 'many'") as caught:
        read_settings(changed({path: value}))
    assert "\n" not in str(caught.value)


POSITIVE = ["features.sample_rate_hz", "features.num_mel_bins", "features.frame_shift_ms"]
POSITIVE += ["streaming.subsampling", "streaming.chunk_steps", "streaming.max_segment_ms"]


@pytest.mark.parametrize("path", [*POSITIVE, "decoding.beam"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_setting_out_of_range(path, value):
    with pytest.raises(ModelFileError, match=path.partition(".")[2]):
        read_settings(changed({path: value}))


@pytest.mark.parametrize("path", ["blank_id", "eos_id"])
@pytest.mark.parametrize("value", [-1, 10_000])
def test_ids_of_no_token(path, value):
    with pytest.raises(ModelFileError, match=path):
        read_settings(changed({path: value}))


@pytest.mark.parametrize("metadata", [{}, {"features": 3}, json.loads("[]")], ids=str)
def test_what_is_no_metadata(metadata):
    with pytest.raises(ModelFileError):
        read_settings(metadata)


def test_a_family_that_this_version_does_not_know():
    with pytest.raises(
        ModelFileError, match=r"family 'u3', which this version .* it knows keyword, transducer, u2"
    ):
        read_settings(changed({"family": "u3"}))


@pytest.mark.parametrize("modes", [["greedy", "best"], ["greedy", 3], ["\n"]], ids=str)
def test_modes_that_the_family_lacks(modes):
    with pytest.raises(ModelFileError, match="mode") as caught:
        read_settings(changed({"decoding.modes": modes}))
    assert "\n" not in str(caught.value)


def test_the_first_mode_is_the_default():
    settings = read_settings(changed({"decoding.modes": ["greedy", "rescoring"]}))
    assert settings.default_mode == "greedy"
