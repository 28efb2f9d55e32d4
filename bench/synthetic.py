"""Held-out loss against bytes of number formats, on synthetic speech that never repeats.

    python bench/synthetic.py                     every cell without a line, then table and plot
    python bench/synthetic.py --only w4a8/small   some of them
    python bench/synthetic.py --trial             three steps of each, into build/

The configuration (bench/synthetic/config.yaml) has the margin and the sizes; a line is added to
bench/results/synthetic.jsonl when a cell is done, so the same command goes on after a stop.
"""

import argparse
import fnmatch
import itertools
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from origin import RESULTS, ROOT, origin, table
from synthetic_speech import Speech, Stream, transcripts

from halfbyte.data.fbank import FeatureConfig, log_mel
from halfbyte.data.speech import SpeechBatch
from halfbyte.data.tokenizer import Tokenizer, train_tokenizer
from halfbyte.engine import ModelFile
from halfbyte.errors import HalfbyteError, UsageError
from halfbyte.export.onnx_model import compile_folder, export
from halfbyte.families.u2.model import U2
from halfbyte.measure.quantization.config import first_change
from halfbyte.measure.result_lines import append_line, read_lines
from halfbyte.progress import progress_bar
from halfbyte.train.checkpoint import build_model, save_checkpoint
from halfbyte.train.config import AnyConfig, OptimizerConfig, load_config

PLOT = ROOT / "docs" / "synthetic.svg"
CONFIG = ROOT / "bench" / "synthetic" / "config.yaml"
REFERENCE = "w4a8"
TOKENIZER_TEXTS = 4000
UNHEARD = 1 << 40  # utterances from here on are never spoken
HELD_OUT_SEED = 1_000_003  # of its stream; training streams have the cells' seeds
Line = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """The configuration, as the file says it; see there."""

    name: str
    recipe: str
    margin: float
    formats: list[str]
    sizes: dict[str, list[str]]
    seeds: list[int]
    steps: int
    utterances: int
    held_out: int

    def cells(self) -> Iterator["Cell"]:
        """All cells: small ones of all formats first."""
        for size, seed, number_format in itertools.product(self.sizes, self.seeds, self.formats):
            yield Cell(number_format, size, seed)


@dataclass(frozen=True)
class Cell:
    """One model."""

    number_format: str
    size: str
    seed: int

    @property
    def name(self) -> str:
        """FORMAT/SIZE/SEED."""
        return f"{self.number_format}/{self.size}/{self.seed}"


def main() -> int:
    """Run what is missing, then show everything."""
    options = parse()
    torch.set_num_threads(1)
    try:
        bench = read_bench(options.config)
        path = RESULTS / f"{bench.name}.jsonl"
        if options.trial:
            bench = replace(bench, steps=3, utterances=4, held_out=4)
            path = ROOT / "build" / "bench" / f"{bench.name}-trial.jsonl"
        lines = run(bench, options, path)
    except HalfbyteError as error:
        print(f"synthetic: {error}", file=sys.stderr)
        return 2
    show(bench, lines)
    if lines and not options.trial:
        plot(bench, lines, PLOT)
    return 0


def read_bench(path: Path) -> Bench:
    """The configuration.

    Raises:
        UsageError: a key is unknown or missing.
    """
    try:
        return Bench(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: {' '.join(str(error).split())}") from error


def run(bench: Bench, options: argparse.Namespace, path: Path) -> list[Line]:
    """Cells without a line are run, one after another.

    Raises:
        UsageError: the lines come from another configuration.
    """
    lines = read_lines(path)
    fixed = json.loads(json.dumps(asdict(bench)))
    for line in lines:
        # More cells may come; what is there must have come from the same settings.
        grown = {key: fixed[key] for key in ("formats", "seeds")}
        if change := first_change(line["configuration"] | grown, fixed):
            raise UsageError(f"{path} is of another configuration: {change}; move it away")
    done = {line["cell"] for line in lines}
    for cell in bench.cells():
        if cell.name in done or not any(fnmatch.fnmatch(cell.name, f"{p}*") for p in options.only):
            continue
        print(f"{cell.name} …", flush=True)
        line = {"benchmark": bench.name, "cell": cell.name, "configuration": fixed}
        line |= run_cell(bench, cell, options.config.parent / bench.recipe) | origin()
        append_line(path, line)
        lines.append(line)
    return lines


def run_cell(bench: Bench, cell: Cell, recipe: Path) -> Line:
    """Train one model on its stream; its loss on the held-out one, and the bytes of its file."""
    start_s = time.process_time()
    overrides = [*bench.sizes[cell.size], f"quantization.default={cell.number_format}"]
    config = replace(load_config(recipe, overrides), seed=cell.seed)
    training = Stream(transcripts(config.data.train), cell.seed)
    held_out = Stream(transcripts(config.data.dev), HELD_OUT_SEED)
    unheard = range(UNHEARD, UNHEARD + TOKENIZER_TEXTS)
    texts = [training.text(number) for number in unheard]
    tokenizer = train_tokenizer(texts, config.tokens)
    torch.manual_seed(cell.seed)
    model = build_model(config, tokenizer)
    parts = Parts(tokenizer, config.features)
    losses = train(model, training, parts, config.optimizer, bench)
    train_s = time.process_time() - start_s
    found, num_labels = evaluate(model, held_out, parts, bench.held_out)
    return {
        "number_format": cell.number_format,
        "size": cell.size,
        "seed": cell.seed,
        "loss": round(float(found.sum() / num_labels.sum()), 5),
        "losses": [round(float(loss), 3) for loss in found],
        "labels": num_labels.tolist(),
        "train_loss": round(float(np.mean(losses[-50:])), 5),
        "train_losses": [round(loss, 3) for loss in losses[:: max(1, bench.steps // 40)]],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "train_s": round(train_s, 1),
        **file_size(config, tokenizer, model),
    }


@dataclass(frozen=True)
class Parts:
    """What makes batches of speech."""

    tokenizer: Tokenizer
    features: FeatureConfig

    def batch(self, utterances: list[Speech]) -> SpeechBatch:
        """A padded batch."""
        frames = [log_mel(u.samples, self.features) for u in utterances]
        tokens = [torch.tensor(self.tokenizer.encode(u.text)) for u in utterances]
        pad = torch.nn.utils.rnn.pad_sequence
        return SpeechBatch(
            pad(frames, batch_first=True),
            torch.tensor([len(f) for f in frames]),
            pad(tokens, batch_first=True),
            torch.tensor([len(t) for t in tokens]),
            [u.text for u in utterances],
        )


def train(
    model: U2, stream: Stream, parts: Parts, options: OptimizerConfig, bench: Bench
) -> list[float]:
    """One pass over the stream; returns the loss of every step."""
    optimizer = torch.optim.AdamW(
        model.parameters(), options.peak_rate, (0.9, 0.98), weight_decay=options.weight_decay
    )

    def rate(step: int) -> float:
        done = (step - options.warmup_steps) / max(1, bench.steps - options.warmup_steps)
        warm = (step + 1) / options.warmup_steps
        return min(warm, 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, done)))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    first = parts.batch([stream.utterance(n) for n in range(bench.utterances)])
    start_normalisation(model, first)
    model.train()
    losses = []
    for step in progress_bar(range(bench.steps), "training"):
        numbers = range(step * bench.utterances, (step + 1) * bench.utterances)
        batch = first if step == 0 else parts.batch([stream.utterance(n) for n in numbers])
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.gradient_clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def start_normalisation(model: U2, batch: SpeechBatch) -> None:
    """Mean and deviation of every bin, from one batch."""
    rows = [f[:n] for f, n in zip(batch.features, batch.num_frames.tolist(), strict=True)]
    frames, norm = torch.cat(rows), model.encoder.feature_norm
    norm.mean.copy_(frames.mean(0))
    norm.inverse_deviation.copy_(1 / frames.std(0).clamp_min(1e-3))


def loss_of(model: U2, batch: SpeechBatch) -> torch.Tensor:
    """CTC and attention loss for each token, at full context."""
    said = model.log_probs(batch.features, batch.num_frames, batch.tokens, batch.num_tokens)
    return model.loss(said, batch.tokens, batch.num_tokens)["loss"]


def evaluate(
    model: U2, stream: Stream, parts: Parts, count: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Loss of each held-out utterance, and its tokens, in float32 as the device computes."""
    model.eval()
    losses, labels = [], []
    with torch.no_grad():
        for number in progress_bar(range(count), "held out"):
            batch = parts.batch([stream.utterance(number)])
            labels.append(int(batch.num_tokens[0]) + 1)
            losses.append(float(loss_of(model, batch)) * labels[-1])
    return np.array(losses), np.array(labels)


def file_size(config: AnyConfig, tokenizer: Tokenizer, model: U2) -> Line:
    """Bytes of the exported file, everything counted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_checkpoint(folder / "checkpoint", config, tokenizer, model.state_dict())
        export(folder / "checkpoint", folder / "onnx")
        compile_folder(folder / "onnx", folder / "model.hb")
        return {"bytes": ModelFile(folder / "model.hb").num_bytes}


def show(bench: Bench, lines: list[Line]) -> None:
    """A row a cell: bytes, loss with an interval, and how the loss stands at equal bytes."""
    rows = []
    for line in lines:
        low, high = interval(line)
        beside = at_equal_bytes(lines, line)
        reading = "-" if beside is None else f"{100 * beside:+.1f} %"
        if beside is not None and abs(beside) <= bench.margin:
            reading += " within margin"
        figures = [f"{line['loss']:.4f}", f"{low:.4f} – {high:.4f}", f"{line['train_s']:.0f}"]
        rows.append([line["cell"], f"{line['bytes']:,}", *figures, reading, to_float(lines, line)])
    beside_reference = f"to {REFERENCE} at equal bytes"
    head = ["cell", "bytes", "held-out loss", "95 % of utterances", "s", beside_reference]
    head.append("to float32 of the size, in pairs")
    print(table(head, rows))


def interval(line: Line) -> tuple[float, float]:
    """Loss with held-out utterances drawn anew, 95 %."""
    losses, labels = np.array(line["losses"]), np.array(line["labels"])
    draws = np.random.default_rng(1).integers(len(losses), size=(1000, len(losses)))
    means = losses[draws].sum(1) / labels[draws].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def to_float(lines: list[Line], line: Line) -> str:
    """Loss relative to float32 of the same size, with utterances drawn anew in pairs, 95 %."""
    same = [
        other for other in lines if (other["size"], other["seed"]) == (line["size"], line["seed"])
    ]
    floats = [other for other in same if other["number_format"] == "float32"]
    if not floats or line is floats[0]:
        return "-"
    own, base = (np.array(one["losses"]) for one in (line, floats[0]))
    draws = np.random.default_rng(1).integers(len(own), size=(1000, len(own)))
    low, high = np.quantile(own[draws].sum(1) / base[draws].sum(1) - 1, [0.025, 0.975])
    value = own.sum() / base.sum() - 1
    return f"{100 * value:+.1f} % ({100 * low:+.1f} – {100 * high:+.1f})"


def at_equal_bytes(lines: list[Line], line: Line) -> float | None:
    """Loss relative to what the reference has at the same bytes; None outside of its sizes."""
    points = sorted(
        (math.log(other["bytes"]), other["loss"])
        for other in lines
        if (other["number_format"], other["seed"]) == (REFERENCE, line["seed"])
    )
    at = math.log(line["bytes"])
    if len(points) < 2 or not points[0][0] <= at <= points[-1][0]:
        return None
    expected = float(np.interp(at, [x for x, _ in points], [y for _, y in points]))
    return float(line["loss"] / expected - 1)


def plot(bench: Bench, lines: list[Line], path: Path) -> None:
    """Loss against bytes, a curve a format."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "halfbyte"  # the same figure gives the same bytes
    figure, axes = pyplot.subplots(figsize=(7, 5))
    for number_format, seed in itertools.product(bench.formats, bench.seeds):
        own = [
            (line["bytes"], line["loss"])
            for line in lines
            if (line["number_format"], line["seed"]) == (number_format, seed)
        ]
        if own:
            axes.plot(*zip(*sorted(own), strict=True), "o-", label=number_format)
    axes.set(xscale="log", xlabel="bytes of the model file", ylabel="held-out loss, nats a token")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", type=Path, default=CONFIG, metavar="YAML")
    parser.add_argument("--only", nargs="+", default=[""], metavar="FORMAT/SIZE/SEED")
    parser.add_argument("--trial", action="store_true", help="three steps a cell, no result kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
