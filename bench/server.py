"""How many real-time streams `halfbyte serve` holds, beside ONNX Runtime; lines in bench/results.

    python bench/server.py                        searches for both, about ten minutes
    python bench/server.py --streams 200          one trial of each
    python bench/server.py ... --trial            its line goes to build/

The peer is the same server with ONNX Runtime's dynamic int8 in the engine's place, made from the
weights of the same model: models/en-voice, its layers in float32, exported, quantised. Both are
played the same speech of HALFBYTE_DATA over loopback, by a load generator in its own process.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from origin import RESULTS, ROOT, origin, table
from runners import int8_folder

from halfbyte.data.tokenizer import Tokenizer
from halfbyte.export.onnx_model import export
from halfbyte.measure.result_lines import append_line
from halfbyte.train.checkpoint import build_model, load_weights, save_checkpoint
from halfbyte.train.config import load_config

BUILD = ROOT / "build" / "bench"
CHECKPOINT = ROOT / "models" / "en-voice"


def main() -> None:
    """Measure both, print a table, append one line."""
    options = parse()
    words = ["--workers", str(options.workers), "--duration-s", str(options.duration_s)]
    words += ["--streams", str(options.streams)] if options.streams else []
    figures = {
        "halfbyte w4a8": bench(words),
        "onnxruntime int8": bench([*words, "--model", str(int8_peer())]),
    }
    print(as_table(figures))
    line = {"workers": options.workers, "servers": figures} | origin()
    append_line(BUILD / "server-trial.jsonl" if options.trial else RESULTS / "server.jsonl", line)
    print(json.dumps(line))


def bench(words: list[str]) -> dict[str, Any]:
    """Run `halfbyte bench server`; its figures."""
    command = [sys.executable, "-m", "halfbyte", "bench", "server", "--json", *words]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def int8_peer() -> Path:
    """Folder of ONNX Runtime's int8 model with the weights of the shipped one."""
    float_folder = BUILD / "en-voice-float32"
    overrides = ["quantization.default=float32", "quantization.layers={}"]
    config = load_config(CHECKPOINT / "config.yaml", overrides)
    tokenizer = Tokenizer((CHECKPOINT / "tokenizer.model").read_bytes())
    model = build_model(config, tokenizer)
    load_weights(model, CHECKPOINT)
    save_checkpoint(float_folder / "result", config, tokenizer, model.state_dict())
    export(float_folder / "result", float_folder / "onnx")
    return int8_folder(float_folder / "onnx", BUILD / "en-voice-onnxruntime-int8")


def as_table(figures: dict[str, dict[str, Any]]) -> str:
    """For people: the trial with the most streams that were held, else the last."""
    head = ["server", "held", "partial p95 ms", "final p95 ms", "cores", "generator", "MB/stream"]
    rows = []
    for name, figure in figures.items():
        trials = figure["trials"]
        trial = next((t for t in trials if t["num_streams"] == figure["held"]), trials[-1])
        latency_ms = trial["latency_ms"]
        rows.append(
            [
                name,
                str(figure["held"]),
                *(f"{latency_ms[f'{k}_beyond_chunk'][1]:.0f}" for k in ("partial", "final")),
                f"{trial['server_cores']:.2f}",
                f"{trial['generator_cores']:.2f}",
                f"{trial['stream_bytes'] / 1e6:.2f}",
            ]
        )
    return table(head, rows)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--streams", type=int, help="streams; searched if not given")
    parser.add_argument("--workers", type=int, default=2, help="of the server (%(default)s)")
    parser.add_argument("--duration-s", type=float, default=20.0, help="of a trial (%(default)s)")
    parser.add_argument("--trial", action="store_true", help="keep the line out of bench/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
