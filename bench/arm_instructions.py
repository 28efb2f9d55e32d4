"""Instructions that the Arm kernels execute, counted under qemu: counts, never a measure of speed.

`make arm` first. A layer is run `few` and `many` times on an emulated CPU; the difference is what
one run costs. Prints a Markdown table of instructions per row and multiply-adds per instruction.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "build" / "arm" / "engine_check"
PLUGIN = ROOT / "bench" / "count_plugin.c"
CPUS = {"portable": "cortex-a53", "neon": "cortex-a53", "neondot": "cortex-a76", "neoni8mm": "max"}
ROWS = (1, 2, 4, 16, 64)
WEIGHT_BITS = (2, 4, 8)


def count(plugin: Path, isa: str, layer: tuple[int, int, int, int], repeats: int) -> int:
    """Instructions of the whole program, in which the layer runs `repeats` times."""
    words = [str(PROGRAM), "linear", isa, *map(str, layer), str(repeats)]
    done = subprocess.run(
        ["qemu-aarch64", "-cpu", CPUS[isa], "-plugin", plugin, *words],
        env=os.environ | {"HALFBYTE_ISA": isa},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stderr)


def per_run(plugin: Path, isa: str, layer: tuple[int, int, int, int]) -> int:
    """Instructions of one run of the layer."""
    few, many = 1, 3
    return (count(plugin, isa, layer, many) - count(plugin, isa, layer, few)) // (many - few)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=int, default=2048)
    parser.add_argument("--inputs", type=int, default=512)
    options = parser.parse_args()
    shape = (options.outputs, options.inputs)
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "count_plugin.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", plugin, PLUGIN], check=True)
        print("| layer | rows | " + " | ".join(CPUS) + " |")
        print("| --- | --- |" + " --- |" * len(CPUS))
        for bits in WEIGHT_BITS:
            for rows in ROWS:
                cells = []
                for isa in CPUS:
                    instructions = per_run(plugin, isa, (bits, rows, *shape))
                    products = rows * shape[0] * shape[1] / instructions
                    cells.append(f"{instructions // rows:,} ({products:.1f})".replace(",", " "))
                print(f"| W{bits}A8 | {rows} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
