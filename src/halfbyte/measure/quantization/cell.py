"""One cell: weights, the exported file, and how the engine does with it."""

import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from halfbyte import _core
from halfbyte.data.frames import Labels
from halfbyte.data.manifest import Utterance, read_manifest
from halfbyte.engine import ModelFile
from halfbyte.errors import ConfigError, HalfbyteError
from halfbyte.export.onnx_model import compile_folder, export
from halfbyte.listen.recognizer import Recognizer
from halfbyte.measure.code import code_name
from halfbyte.measure.cpu import machine
from halfbyte.measure.deployed import raise_if_different, verify
from halfbyte.measure.evaluate import Evaluation, evaluate
from halfbyte.measure.other_models import CheckpointModel
from halfbyte.measure.quantization.config import Bench, Cell
from halfbyte.progress import progress_bar
from halfbyte.quant.observers import observer_named
from halfbyte.scores.words import count_errors
from halfbyte.train.checkpoint import build_model, family_of, inputs_of
from halfbyte.train.config import AnyConfig, DistillationConfig, load_config
from halfbyte.train.corpora import data_root
from halfbyte.train.post_training import Calibration, quantize_checkpoint
from halfbyte.train.run import train

_SEEDS_A_LEG = 1000
_NUM_TOKENS = 32  # of a model that is built to see whether it can be


class CellError(HalfbyteError):
    """A cell whose engine does not say what its training graph says."""


def check_cells(bench: Bench) -> None:
    """Refuse, before the first cell runs, what a later one would fail on.

    Raises:
        ConfigError: an observer is unknown, a manifest is missing, or the recipe of a cell and its
            formats make no model, or one that lacks the decoding mode.
    """
    wanted, root = bench.config, data_root(bench.recipe)
    named = {"evaluation.test": wanted.evaluation.test, "calibration": wanted.calibration}
    for key, manifests in named.items():
        for name in manifests:
            if not (root / name).is_file():
                raise ConfigError(f"{key}: no manifest at {root / name}")
    for name, method in wanted.methods.items():
        observer_named(method.observer, f"methods.{name}.observer")
    models = {(cell.method, cell.number_format): cell for cell in bench.cells()}
    for cell in models.values():
        try:
            _check_mode(wanted.evaluation.mode, cell_config(bench, cell))
        except ConfigError as error:
            raise ConfigError(f"{cell.method}/{cell.number_format}: {error}") from error


def _check_mode(mode: str, config: AnyConfig) -> None:
    """Build the model of a cell, and see whether it can be decoded as asked for."""
    vocabulary = Labels([""] * _NUM_TOKENS)
    model = build_model(config, vocabulary)
    modes = family_of(config).metadata(model, inputs_of(config, vocabulary))["decoding"]["modes"]
    if mode not in modes:
        raise ConfigError(f"evaluation.mode is {mode!r}; expected one of {', '.join(modes)}")


def run_cell(bench: Bench, cell: Cell, work: Path) -> dict[str, Any]:
    """Train or quantise, export, compile, verify and evaluate one cell.

    A cell whose benchmark was killed may still be at work: this one waits for its end, and goes on
    with what it has made.

    Args:
        work: folder of the whole benchmark; checkpoints stay there, so that an interrupted
            training goes on and other cells start from this one.

    Returns:
        The result line.

    Raises:
        CellError: texts of engine and training graph differ on more utterances than allowed.
    """
    folder = work / cell.name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "cell.lock"):
        return _run_cell(bench, cell, work)


def _run_cell(bench: Bench, cell: Cell, work: Path) -> dict[str, Any]:
    start_s, code = time.monotonic(), code_name()
    checkpoint = make_checkpoint(bench, cell, work)
    trained_s = time.monotonic() - start_s
    folder = work / cell.name
    model_file = folder / "model.hb"
    export(checkpoint, folder / "onnx")
    compile_folder(folder / "onnx", model_file)
    checks = verify(checkpoint, model_file)
    raise_if_different(checks)
    splits = read_splits(bench)
    heard = {name: _recognise(bench, model_file, split) for name, split in splits.items()}
    differing = _differing(bench, cell, checkpoint, splits, heard)
    file = ModelFile(model_file)
    num_weights = sum(check.num_weights for check in checks)
    num_bytes = sum(check.num_bytes for check in checks)
    return {
        **asdict(cell),
        **word_errors(splits, heard),
        "texts_compared": sum(len(split) for split in splits.values()),
        "texts_differing": differing,
        "bytes": file.num_bytes,
        "quantised_weights": num_weights,
        "bits_per_weight": round(8 * num_bytes / num_weights, 4) if num_weights else 32.0,
        "chunk_ms": bench.config.evaluation.chunk_ms,
        "training_s": round(trained_s, 1),
        "load_average": os.getloadavg()[0],
        "isa": _core.kernels.default_isa(),
        "machine": machine(),
        "code": code,
    }


def make_checkpoint(bench: Bench, cell: Cell, work: Path) -> Path:
    """The checkpoint folder of a cell; trained, gone on with, quantised, or there already."""
    folder = work / cell.name
    result = folder / "result"
    if result.is_dir():
        return result
    method = bench.config.methods[cell.method]
    start, teacher = (
        make_checkpoint(bench, source, work) if source else None
        for source in (bench.start_of(cell), bench.teacher_of(cell))
    )
    config = cell_config(bench, cell)
    if method.kind == "train":
        if teacher:
            weight = config.distillation.weight
            config = replace(config, distillation=DistillationConfig(str(teacher), weight))
        return train(config, folder, start)
    assert start is not None  # read_bench has seen to it
    root = data_root(bench.recipe)
    utterances = [u for name in bench.config.calibration for u in read_manifest(root / name)]
    calibration = Calibration(utterances, observer=method.observer)
    partial = folder / "partial"
    quantize_checkpoint(start, partial, config.quantization, calibration)
    partial.rename(result)
    return result


def cell_config(bench: Bench, cell: Cell) -> AnyConfig:
    """The recipe with the overrides of the cell's method, its formats and its seed."""
    overrides = bench.config.methods[cell.method].overrides
    config = load_config(bench.path.parent / bench.config.recipe, overrides)
    named = bench.config.maps.get(cell.number_format)
    chosen = named or replace(config.quantization, default=cell.number_format, layers={})
    # A later leg hears augmentation of its own (docs/log.md).
    seed = cell.seed + _SEEDS_A_LEG * bench.num_legs_before(cell)
    return replace(config, seed=seed, quantization=chosen)


def read_splits(bench: Bench) -> dict[str, list[Utterance]]:
    """Test utterances by manifest."""
    root = data_root(bench.recipe)
    return {name: read_manifest(root / name) for name in bench.config.evaluation.test}


def word_errors(splits: dict[str, list[Utterance]], heard: dict[str, Evaluation]) -> dict[str, Any]:
    """Word error rates and, for intervals, errors and words of each speaker by name's order."""
    by_split, by_speaker = {}, {}
    for name, split in splits.items():
        counts: dict[str, list[int]] = {}
        for utterance in split:
            if not utterance.text:
                continue
            errors = count_errors(utterance.text, heard[name].transcripts[utterance.id])
            row = counts.setdefault(utterance.speaker or utterance.id, [0, 0])
            row[0] += errors.num_errors
            row[1] += errors.num_words
        by_speaker[name] = [counts[speaker] for speaker in sorted(counts)]
        summary = heard[name].summary()
        kept = ("utterances", "words", "wer", "sentence_accuracy", "false_words")
        by_split[name] = {key: summary[key] for key in kept}
    errors, words = np.array([c for rows in by_speaker.values() for c in rows]).sum(axis=0)
    return {"wer": round(errors / max(1, words), 5), "by_split": by_split, "speakers": by_speaker}


def _recognise(bench: Bench, model: Any, utterances: list[Utterance]) -> Evaluation:
    wanted = bench.config.evaluation
    results = evaluate(Recognizer(model), utterances, wanted.chunk_ms, wanted.mode)
    result = Evaluation()
    for _ in progress_bar(utterances, "recognising"):
        result = next(results)
    return result


def _differing(
    bench: Bench,
    cell: Cell,
    checkpoint: Path,
    splits: dict[str, list[Utterance]],
    heard: dict[str, Evaluation],
) -> int:
    """Utterances whose texts differ between engine and training graph."""
    graph = CheckpointModel(checkpoint)
    total = differing = 0
    for name, split in splits.items():
        expected = _recognise(bench, graph, split).transcripts
        differing += sum(expected[i] != text for i, text in heard[name].transcripts.items())
        total += len(split)
    is_exact = cell_config(bench, cell).quantization.arithmetic == "integer"
    allowed = 0.0 if is_exact else bench.config.evaluation.largest_difference
    if differing > allowed * total:
        raise CellError(
            f"cell {cell.name}: engine and training graph differ on {differing} of {total} texts; "
            f"{allowed:.1%} are allowed, so no figure of this cell counts"
        )
    return differing
