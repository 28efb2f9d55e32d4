"""`halfbyte bench encoder`: one chunk of a production-size encoder beside other runtimes."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

EPILOG = """\
examples:
  halfbyte bench encoder                      every instruction set of this machine, all runtimes
  halfbyte bench encoder --isa avx2           that one; torch is held to AVX2 as well

Without --isa the best instruction set is measured beside all runtimes, then each other one but
`portable`, in a process of its own, beside torch. On avx2 and avxvnni torch is held to AVX2; its
time beside that of the first process shows that the limit took hold.
The models are made once, with random weights, in --folder.
"""
AVX2_LIMITS = {  # torch's own kernels, oneDNN, FBGEMM
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "FBGEMM_ENABLE_INSTRUCTIONS": "AVX2",
}
LIMITED_ISAS = ("avx2", "avxvnni")
LIMITED_PEER = "torch int8"
Line = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte bench encoder`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--folder", type=Path, default=Path("build/bench/encoder"), help="its models (%(default)s)"
    )
    parser.add_argument("--repeat", type=int, default=50, help="times a runner (%(default)s)")
    parser.add_argument("--isa", metavar="NAME", help="of the engine; default: all but portable")
    parser.add_argument("--threads", type=int, default=1, help="of the engine (%(default)s)")
    parser.add_argument(
        "--chunk-ms", type=int, nargs="+", metavar="N", help="default: 640 320 10000"
    )
    parser.add_argument("--no-peers", action="store_true", help="the engine and torch float32 only")
    parser.add_argument("--append", type=Path, metavar="FILE", help="add the JSON line to a file")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the first shape")


def run(options: argparse.Namespace) -> int:
    """Time one encoder chunk in each runner; the last line printed is the JSON line.

    Raises:
        UsageError: an instruction set that this machine lacks.
    """
    from halfbyte.measure.result_lines import append_line

    line = _measure(options)
    if options.isa is None:
        line["other_isas"] = {isa: _in_process(options, isa) for isa in _other_isas()}
        for other in line["other_isas"].values():
            print(_limit_text(line, other), flush=True)
    if options.plot is not None:
        _plot(options.plot, line)
    if options.append is not None:
        append_line(options.append, line)
    print(json.dumps(line))
    return 0


def _measure(options: argparse.Namespace) -> Line:
    peers = "all" if options.isa is None else "torch"
    if options.isa in LIMITED_ISAS:
        os.environ.update(AVX2_LIMITS)  # before torch is loaded
    from halfbyte.measure.encoder_bench import bench_encoder, shapes_of

    return bench_encoder(
        options.folder,
        shapes_of(options.chunk_ms),
        options.repeat,
        options.isa,
        options.threads,
        "none" if options.no_peers else peers,
        lambda text: print(text, flush=True),
    )


def _other_isas() -> list[str]:
    from halfbyte import _core

    isas: list[str] = _core.kernels.isas()
    return [isa for isa in reversed(isas) if isa not in ("portable", _core.kernels.default_isa())]


def _in_process(options: argparse.Namespace, isa: str) -> Line:
    """The line of another instruction set, its tables printed."""
    command = [sys.executable, "-m", "halfbyte", "bench", "encoder", "--isa", isa]
    command += ["--folder", str(options.folder), "--repeat", str(options.repeat)]
    command += ["--threads", str(options.threads)]
    if options.chunk_ms:
        command += ["--chunk-ms", *map(str, options.chunk_ms)]
    if options.no_peers:
        command.append("--no-peers")
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    tables, _, last = printed.rstrip().rpartition("\n")
    print(f"{isa}\n{tables}", flush=True)
    line: Line = json.loads(last)
    return line


def _limit_text(free: Line, limited: Line) -> str:
    """Torch's time in both processes."""
    from halfbyte.measure.spread import ratio, shown

    first, second = (line["rows"][0]["times"].get(LIMITED_PEER) for line in (free, limited))
    if not first or not second:
        return f"{limited['isa']}: {LIMITED_PEER} was not measured"
    slower = shown(ratio(second["median_ms"], first["median_ms"]), ".2f")
    return (
        f"{LIMITED_PEER}: {first['median_ms']:.2f} ms, in the process of {limited['isa']} "
        f"{second['median_ms']:.2f} ms ({slower}×)"
    )


def _plot(path: Path, line: Line) -> None:
    from halfbyte.measure.bar_chart import write_bars

    row = line["rows"][0]
    write_bars(
        path,
        f"One encoder chunk of {row['chunk_ms']} ms, 34.6 M parameters, {line['isa']}",
        {name: figure["median_ms"] for name, figure in row["times"].items()},
        "ms",
    )
