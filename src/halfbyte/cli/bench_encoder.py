"""`halfbyte bench encoder`: one chunk of a production-size encoder beside other runtimes."""

import argparse
import json
from pathlib import Path

EPILOG = """\
examples:
  halfbyte bench encoder                      one encoder chunk beside ONNX Runtime and torch
  halfbyte bench encoder --isa avx2           the engine on that instruction set

The models are made once, with random weights, in --folder.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument(
        "--folder", type=Path, default=Path("build/bench/encoder"), help="its models (%(default)s)"
    )
    parser.add_argument("--repeat", type=int, default=50, help="times a runner (%(default)s)")
    parser.add_argument("--isa", metavar="NAME", help="of the engine; default: the best")
    parser.add_argument("--threads", type=int, default=1, help="of the engine (%(default)s)")
    parser.add_argument(
        "--chunk-ms", type=int, nargs="+", metavar="N", help="default: 640 320 10000"
    )
    parser.add_argument("--no-peers", action="store_true", help="the engine and torch float32 only")
    parser.add_argument("--append", type=Path, metavar="FILE", help="add the JSON line to a file")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the first shape")


def run(options: argparse.Namespace) -> int:
    from halfbyte.measure.bar_chart import write_bars
    from halfbyte.measure.encoder_bench import bench_encoder, shapes_of

    line = bench_encoder(
        options.folder,
        shapes_of(options.chunk_ms),
        options.repeat,
        options.isa,
        options.threads,
        not options.no_peers,
        lambda text: print(text, flush=True),
    )
    if options.plot is not None:
        row = line["rows"][0]
        write_bars(
            options.plot,
            f"One encoder chunk of {row['chunk_ms']} ms, 34.6 M parameters, {line['isa']}",
            {name: figure["median_ms"] for name, figure in row["times"].items()},
            "ms",
        )
    if options.append is not None:
        options.append.parent.mkdir(parents=True, exist_ok=True)
        with options.append.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    print(json.dumps(line))
    return 0
