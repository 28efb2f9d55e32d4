"""The encoder benchmark on a tiny model: every runner runs, agrees, and is in the tables."""

import json
import re
import subprocess
import sys

import pytest

from halfbyte.blocks.conformer import EncoderConfig
from halfbyte.blocks.decoder import DecoderConfig
from halfbyte.cli import bench_encoder, main
from halfbyte.families.family import Production
from halfbyte.families.registry import find_family
from halfbyte.families.u2.config import ModelConfig
from halfbyte.measure import encoder_bench
from halfbyte.measure.bar_chart import write_bars
from halfbyte.measure.peers.encoder import RUNTIMES

PEERS = (
    "onnxruntime float32",
    "onnxruntime int8",
    "onnxruntime 4-bit",
    "torch float32",
    "torch int8",
)
LIMITED = """
import sys, types

def bench_encoder(folder, shapes, repeat, isa, threads, peers, show):
    import torch
    print(torch.backends.cpu.get_cpu_capability(), peers)
    return {"isa": isa}

stub = types.ModuleType("stub")
stub.bench_encoder, stub.shapes_of = bench_encoder, list
sys.modules["halfbyte.measure.encoder_bench"] = stub
from halfbyte.cli import main
assert "torch" not in sys.modules
main(["bench", "encoder", "--isa", "avx2", "--chunk-ms", "640"])
"""
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
    tiny = Production("tiny", TINY, 40)
    monkeypatch.setattr(type(find_family("u2")), "production", tiny)
    monkeypatch.setattr(bench_encoder, "_other_isas", list)
    results, picture = tmp_path / "results.jsonl", tmp_path / "bars.svg"
    command = ["bench", "encoder", "--folder", str(tmp_path / "models"), "--repeat", "2"]
    command += ["--chunk-ms", "160", "--append", str(results), "--plot", str(picture)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    line = json.loads(printed.splitlines()[-1])
    assert line == json.loads(results.read_text())
    times = line["rows"][0]["times"]
    expected = {encoder_bench.OURS, encoder_bench.OURS_FLOAT, *PEERS}
    assert expected <= times.keys()
    assert all(figure["median_ms"] > 0 for figure in times.values())
    assert line["rows"][0]["differences"]["onnxruntime float32"] < 1e-4
    assert all(name in printed and name in picture.read_text() for name in expected)
    assert set(RUNTIMES) - {name.split()[0] for name in times} == line["absent"].keys()
    assert line["file"]["open_and_first_chunk_ms"] > 0
    assert 0 < line["file"]["bytes"] < line["file"]["peak_rss_bytes"]
    assert line["rows"][0]["energy"]["bytes_per_audio_s"] > line["file"]["bytes"]


def test_other_instruction_sets_are_measured_beside_torch(tmp_path, monkeypatch, capsys):
    measured = []

    def bench(folder, shapes, repeat, isa, threads, peers, show):
        measured.append((isa, peers, shapes[0].chunk_ms))
        return {"isa": isa or "best", "rows": [{"times": {"torch int8": {"median_ms": 5.0}}}]}

    def run_other(options, isa):
        measured.append(isa)
        return {"isa": isa, "rows": [{"times": {"torch int8": {"median_ms": 9.0}}}]}

    monkeypatch.setattr(encoder_bench, "bench_encoder", bench)
    monkeypatch.setattr(bench_encoder, "_in_process", run_other)
    monkeypatch.setattr(bench_encoder, "_other_isas", lambda: ["avx2"])
    assert main(["bench", "encoder", "--folder", str(tmp_path)]) == 0
    assert measured == [(None, "all", 640), "avx2"]
    assert "torch int8: 5.00 ms, in the process of avx2 9.00 ms (1.80×)" in capsys.readouterr().out


def test_torch_is_held_to_avx2_before_it_is_loaded():
    run = subprocess.run(
        [sys.executable, "-c", LIMITED], check=True, capture_output=True, text=True
    )
    assert run.stdout.splitlines()[0] == "AVX2 torch"


def test_bars_are_as_long_as_their_values(tmp_path):
    write_bars(tmp_path / "a.svg", "a < b", {"long": 4.0, "short": 1.0}, "ms")
    text = (tmp_path / "a.svg").read_text()
    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', text)]
    assert widths[1] == pytest.approx(4 * widths[0], rel=1e-2)
    assert "a &lt; b" in text
