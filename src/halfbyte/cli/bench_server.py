"""`halfbyte bench server`: how many real-time streams a server holds."""

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from halfbyte.measure.server_bench import Trial

EPILOG = """\
examples:
  halfbyte bench server                       the most streams that `halfbyte serve` holds
  halfbyte bench server --streams 200         200 streams, 20 seconds each
  halfbyte bench server --model onnx/         the server with ONNX Runtime for the engine

Clients play speech in real time over loopback: of HALFBYTE_DATA, or the files given.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte bench server`."""
    parser.epilog = EPILOG
    parser.add_argument("--audio", nargs="+", type=Path, default=[], help="speech to play")
    parser.add_argument("--model", type=Path, metavar="MODEL", help=".hb, checkpoint, ONNX folder")
    parser.add_argument("--streams", type=int, metavar="N", help="streams; searched if not given")
    parser.add_argument("--duration-s", type=float, default=20.0, help="of a trial (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the server (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of each worker (%(default)s)")
    parser.add_argument("--chunk-ms", type=int, metavar="N", help="default: the model's")
    parser.add_argument("--message-ms", type=int, default=100, help="audio a message (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object, all trials")


def run(options: argparse.Namespace) -> int:
    """Find how many real-time streams a server of its own process holds, or try one number."""
    from halfbyte.measure.server_audio import recordings_of, write_speech
    from halfbyte.measure.server_bench import ServerCommand, best, run_trial, search
    from halfbyte.measure.server_load import Load

    words = ["--workers", str(options.workers), "--threads", str(options.threads)]
    words += ["--max-streams", "100000"]
    words += ["--model", str(options.model)] if options.model else []
    start = {"chunk_ms": options.chunk_ms} if options.chunk_ms is not None else {}
    show = None if options.json else _show
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder) / "speech.s16"
        write_speech(audio, recordings_of(options.audio))
        load = Load(
            "", str(audio), options.streams or 1, options.duration_s, options.message_ms, 6.0, start
        )
        command = ServerCommand(tuple(words))
        if options.streams:
            trials = [run_trial(command, load)]
            if show:
                show(trials[0])
        else:
            trials = search(command, load, first=100, show=show)
    held = best(trials)
    if options.json:
        figures = {"held": held and held.num_streams, "trials": [asdict(t) for t in trials]}
        print(json.dumps(figures))
    else:
        print(f"held: {held.num_streams if held else 'none'}")
    return 0


def _show(trial: "Trial") -> None:
    partial, final = (trial.latency_ms[f"{kind}_beyond_chunk"] for kind in ("partial", "final"))
    held = (
        "generator behind" if trial.is_generator_behind else "held" if trial.is_held else "not held"
    )
    print(
        f"{trial.num_streams:5d} streams {held:16}  partial p50 {partial[0]:.0f} p95 "
        f"{partial[1]:.0f} ms, final p50 {final[0]:.0f} p95 {final[1]:.0f} ms beyond the chunk; "
        f"server {trial.server_cores:.2f} cores, generator {trial.generator_cores:.2f}; "
        f"{trial.stream_bytes / 1e6:.2f} MB a stream",
        flush=True,
    )
    stages = ", ".join(f"{name} {us:.0f}" for name, us in trial.stages_us.items())
    print(f"      us per second of audio: {stages}", flush=True)
    if trial.errors:
        print(f"      errors: {trial.errors}", flush=True)
