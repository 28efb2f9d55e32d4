"""Times a native training step beside a float step of the same model, under the same autocast.

    python bench/training_speed.py                    the recipe's model, bfloat16 autocast
    python bench/training_speed.py --formats w4a8 w2a8 --precision float32

Steps of all formats are taken in turns, so that a disturbance meets all alike: only the ratios
count. A step is forward pass, backward pass and the optimiser, on one batch of random features.
"""

import argparse
import contextlib
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from origin import RESULTS, ROOT, origin, table

from halfbyte.data.frames import Labels
from halfbyte.families.u2.model import U2
from halfbyte.measure.result_lines import append_line
from halfbyte.train.checkpoint import build_model
from halfbyte.train.config import QuantizationConfig, load_config

FLOAT = "float32"
NUM_TOKENS = 300
WARM_UP = 2


def main() -> None:
    """Time steps in turns; print a table, append a line."""
    options = parse()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    steps = {
        name: make_step(options.recipe, name, options.batch_s, options.precision, device)
        for name in [FLOAT, *options.formats]
    }
    # Processor time where other programs may run beside, as long as there is one thread.
    clock = (
        time.process_time if options.threads == 1 and options.device == "cpu" else time.perf_counter
    )
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(WARM_UP + options.repeat):
        for name, step in steps.items():
            start_s = clock()
            step()
            if turn >= WARM_UP:
                seconds[name].append(clock() - start_s)
    figures = {}
    for name, own in seconds.items():
        ratios = [a / b for a, b in zip(own, seconds[FLOAT], strict=True)]
        figures[name] = {
            "step_ms": round(1000 * statistics.median(own), 2),
            "to_float": round(statistics.median(ratios), 4),
        }
    rows = [[n, f"{f['step_ms']:.1f}", f"{f['to_float']:.3f}"] for n, f in figures.items()]
    print(table(["format", "ms a step", "to float"], rows))
    line = {
        "benchmark": "training_speed",
        "recipe": options.recipe.resolve().relative_to(ROOT).as_posix(),
        "precision": options.precision,
        "device": options.device,
        "batch_s": options.batch_s,
        "repeat": options.repeat,
        "clock": "processor" if clock is time.process_time else "wall",
        "formats": figures,
        "load_average": round(os.getloadavg()[0], 2),
        **origin(),
        "threads": options.threads,
    }
    print(json.dumps(line))
    if options.keep:
        append_line(RESULTS / "training-speed.jsonl", line)


def make_step(
    recipe: Path, number_format: str, batch_s: float, precision: str, device: torch.device
) -> Callable[[], None]:
    """One training step of the recipe's model in a number format, on a fixed batch."""
    torch.manual_seed(1)
    config = load_config(recipe)
    config = replace(config, quantization=QuantizationConfig(number_format))
    model = build_model(config, Labels([""] * NUM_TOKENS)).to(device)
    draw_weights(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-5, fused=True)
    batch = 16
    frames = int(batch_s / batch * 100)
    features = torch.randn(batch, frames, config.features.num_mel_bins, device=device)
    num_frames = torch.full((batch,), frames, device=device)
    tokens = torch.randint(1, NUM_TOKENS - 1, (batch, 12), device=device)
    num_tokens = torch.full((batch,), 12, device=device)

    def step() -> None:
        autocast = torch.autocast(device.type, torch.bfloat16)
        with autocast if precision == "bfloat16" else contextlib.nullcontext():
            said = model.log_probs(features, num_frames, tokens, num_tokens, chunk_steps=8)
            loss = model.loss(said, tokens, num_tokens)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def draw_weights(model: U2) -> None:
    """No branch at zero, as after some training."""
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    model.train()


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    recipe = ROOT / "recipes" / "en-voice" / "config.yaml"
    parser.add_argument("--recipe", type=Path, default=recipe, metavar="CONFIG")
    parser.add_argument("--formats", nargs="+", default=["w4a8"], metavar="FORMAT")
    parser.add_argument("--precision", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-s", type=float, default=60.0, help="of audio (%(default)s)")
    parser.add_argument("--repeat", type=int, default=10, help="steps (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="append the line to bench/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
