"""The encoder benchmark on a tiny model: every runner runs, agrees, and is in the tables."""

import json
import re

import pytest

from halfbyte.cli import main
from halfbyte.measure import encoder_bench
from halfbyte.measure.bar_chart import write_bars
from halfbyte.models.config import DecoderConfig, EncoderConfig, ModelConfig

TINY = ModelConfig(
    encoder=EncoderConfig(
        width=64,
        num_heads=2,
        num_layers=1,
        feed_forward=96,
        kernel=5,
        subsampling=4,
        subsampling_channels=8,
        left_context=64,
        dropout=0.0,
    ),
    decoder=DecoderConfig(num_layers=1),
)


def test_all_runners_agree_and_are_timed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(encoder_bench, "PRODUCTION", TINY)
    monkeypatch.setattr(encoder_bench, "NUM_TOKENS", 40)
    results, picture = tmp_path / "results.jsonl", tmp_path / "bars.svg"
    command = ["bench", "encoder", "--folder", str(tmp_path / "models"), "--repeat", "2"]
    command += ["--chunk-ms", "160", "--append", str(results), "--plot", str(picture)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    line = json.loads(printed.splitlines()[-1])
    assert line == json.loads(results.read_text())
    times = line["rows"][0]["times"]
    expected = {encoder_bench.OURS, encoder_bench.OURS_FLOAT, *encoder_bench.PEERS}
    assert expected == times.keys()
    assert all(figure["median_ms"] > 0 for figure in times.values())
    assert line["rows"][0]["differences"]["onnxruntime float32"] < 1e-4
    assert all(name in printed and name in picture.read_text() for name in expected)


def test_bars_are_as_long_as_their_values(tmp_path):
    write_bars(tmp_path / "a.svg", "a < b", {"long": 4.0, "short": 1.0}, "ms")
    text = (tmp_path / "a.svg").read_text()
    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', text)]
    assert widths[1] == pytest.approx(4 * widths[0], rel=1e-2)
    assert "a &lt; b" in text
