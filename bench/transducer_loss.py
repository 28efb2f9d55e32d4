"""Memory and processor time of the transducer loss fused with its joint, beside the rest of a step.

    python bench/transducer_loss.py                   20 s, 100 tokens of 4096, float32
    python bench/transducer_loss.py --tokens 300 --keep

One utterance through a float model of the family's own sizes, forward and backward. Memory is what
the largest resident size grows by while loss and joint run, each size in a process of its own; the
share is processor time of a step less that of a step without loss and joint.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
from typing import Any

import torch
from origin import RESULTS, origin, table
from torch import Tensor

from halfbyte.blocks.transducer_loss import TILE_NODES, lattice_of, transducer_loss
from halfbyte.data.fbank import FeatureConfig
from halfbyte.data.frames import Labels
from halfbyte.data.speech import SpeechBatch
from halfbyte.families.family import Inputs
from halfbyte.families.registry import find_family
from halfbyte.measure.memory import peak_rss_bytes
from halfbyte.measure.result_lines import append_line


def main() -> None:
    """Measure memory in one process and time in another; print a table, append a line."""
    options = parse()
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        loss_bytes, steps = pool.apply(grown_bytes, (options,))
        step_s, rest_s = pool.apply(step_seconds, (options,))
    line = {
        "benchmark": "transducer_loss",
        "audio_s": options.audio_s,
        "encoder_steps": steps,
        "labels": options.labels,
        "tokens": options.tokens,
        "tile_nodes": TILE_NODES,
        "loss_peak_bytes": loss_bytes,
        "all_logits_bytes": 4 * steps * (options.labels + 1) * options.tokens,
        "step_s": round(step_s, 3),
        "step_without_loss_s": round(rest_s, 3),
        "share_of_step": round(1 - rest_s / step_s, 3),
        "load_average": round(os.getloadavg()[0], 2),
        **origin(),
    }
    print(table(["figure", "value"], [[k, str(v)] for k, v in line.items() if k != "compiler"]))
    print(json.dumps(line))
    if options.keep:
        append_line(RESULTS / "transducer-loss.jsonl", line)


def grown_bytes(options: argparse.Namespace) -> tuple[int, int]:
    """Bytes that loss and joint take at most, and encoder steps."""
    model, batch = model_and_batch(options)
    with torch.no_grad():
        encoded, num_steps = model.encoder(batch.features, batch.num_frames)
    rows = torch.randn(1, encoded.shape[1], model.config.joint_width, requires_grad=True)
    loss_of(
        model, rows[:, :1], torch.ones(1, dtype=torch.int64), batch
    ).backward()  # gradients' room
    before = peak_rss_bytes()
    loss_of(model, rows, num_steps, batch).backward()
    return peak_rss_bytes() - before, encoded.shape[1]


def loss_of(model: Any, rows: Tensor, num_steps: Tensor, batch: SpeechBatch) -> Tensor:
    """The loss of a batch whose encoder rows are given."""
    predicted = torch.zeros(1, batch.tokens.shape[1] + 1, rows.shape[2])
    lattice = lattice_of(model.joint, rows, num_steps, predicted, batch.tokens, batch.num_tokens)
    return transducer_loss(lattice).sum()


def step_seconds(options: argparse.Namespace) -> tuple[float, float]:
    """Processor time of a step, and of one with the CTC head alone."""
    model, batch = model_and_batch(options)
    seconds: list[list[float]] = [[], []]
    for _ in range(options.repeat):
        start_s = time.process_time()
        said = model.outputs(batch)
        model.loss(said, batch.tokens, batch.num_tokens)["loss"].backward()
        seconds[0].append(time.process_time() - start_s)
        start_s = time.process_time()
        encoded, _ = model.encoder(batch.features, batch.num_frames)
        (model.ctc_log_probs(encoded).mean() + model.projected(encoded).mean()).backward()
        seconds[1].append(time.process_time() - start_s)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def model_and_batch(options: argparse.Namespace) -> tuple[Any, SpeechBatch]:
    """A model of the family's own sizes, and one utterance of noise."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    family = find_family("transducer")
    vocabulary = Labels([""] * options.tokens)
    model = family.build(family.Config(), Inputs(FeatureConfig(), vocabulary))
    model.train()
    frames = int(options.audio_s * 100)
    batch = SpeechBatch(
        features=torch.randn(1, frames, FeatureConfig().num_mel_bins),
        num_frames=torch.tensor([frames]),
        tokens=torch.randint(1, options.tokens, (1, options.labels)),
        num_tokens=torch.tensor([options.labels]),
        texts=[""],
    )
    return model, batch


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--audio-s", type=float, default=20.0, help="(%(default)s)")
    parser.add_argument("--labels", type=int, default=100, help="of the utterance (%(default)s)")
    parser.add_argument("--tokens", type=int, default=4096, help="of the vocabulary (%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="steps (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="append the line to bench/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
