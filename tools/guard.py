"""Writes what must not change while the code is moved, and compares two such files.

    python tools/guard.py -o guard.json                              of this checkout
    python DIR/tools/guard.py --python VENV/bin/python -o guard.json  of another, by its own guard
    python tools/guard.py --checkout DIR --python PYTHON -o guard.json
    python tools/guard.py --compare before.json after.json           exit 1 if anything differs

The package is run from `DIR/src`, with the core that is built in place, through its public faces:
the command line, `halfbyte.Recognizer`, `halfbyte.engine` and the C library. Parts (--only):

    faces     --help of every verb, the command line's forms, symbols and output of the C library
    encoder   encoder output on every instruction set of this CPU, with texts of each
    texts     every test utterance of en-voice's corpora: texts, and words with times
    events    streams: partial and final events, odd cuts, saved states, endpoints
    compiled  checkpoints exported and compiled anew: verified, recognising, post-training
    losses    200 losses of a small recipe (guard.yaml) and 30 of its variants, weights at the end

`texts`, `events`, `compiled` and a share of `encoder` need HALFBYTE_DATA. Every entry that is done
is kept in build/guard of the checkout, under a name made of code, core and guard, so that the same
command goes on where it was interrupted. Losses and instruction sets are those of a machine:
compare files of one machine.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guard_checkout import Checkout, audio_of
from guard_training import train_and_deploy

CORPORA = ("speech_commands", "speechocean762", "wuw2")  # that bench/results/en-voice.jsonl is of
CHUNKS_MS = (0, 640, 320)
MODES = ("greedy", "prefix_beam", "rescoring", "attention")
MODELS = (
    "src/halfbyte/assets/en-voice.hb",
    "tests/golden/tones.hb",
    "tests/golden/tones-integer.hb",
)
CHECKPOINTS = ("models/en-voice", "models/en-voice-float32", "tests/golden/tones-mixed")
NUM_FEW = 8  # recordings of a corpus, where all would take too long
INTEGER = ["quantization.arithmetic=integer", "model.encoder.layer_drop=0"]
RUNS = {  # name -> settings of `halfbyte train`; an epoch writes down one loss
    "w4a8": ["loop.epochs=200"],
    "integer": INTEGER,
    "integer, not clipped": [*INTEGER, "optimizer.gradient_clip=0"],  # no norm over all gradients
    "float32": ["quantization.default=float32"],
    "static": ["quantization.activations=moving_average"],
    "mixed": [
        "model.encoder.relative_shift=false",
        "quantization.layers={encoder.layers.0.*: w8a8, encoder.layers.1.*.expand: w4a4,"
        " encoder.layers.1.attention.query: float32, decoder.embedding: w8a8}",
    ],
}
NOT_EXPORTED = {"static"}
POST_TRAINING = {
    "mse": [],
    "percentile w2a8": ["--observer", "percentile", "quantization.default=w2a8"],
}
Entry = dict[str, Any] | list[Any] | str


def faces(checkout: Checkout) -> Iterator[tuple[str, Any]]:
    """Help of verbs, forms of output, the C library."""
    demo = "src/halfbyte/assets/demo.wav"  # commands run in the checkout's root; --json names it
    forms = [[], ["--json"], ["--srt"], ["--vtt"], ["--stream"]]
    yield "help", checkout.helps
    yield (
        "transcribe",
        lambda: {" ".join(f): checkout.halfbyte("transcribe", *f, demo) for f in forms},
    )
    yield "c symbols", checkout.c_symbols
    yield "c transcribe", lambda: checkout.c_transcribe(demo)


def encoder(checkout: Checkout) -> Iterator[tuple[str, Any]]:
    """Hashes of the encoder on each instruction set; texts of a few, decoder included."""
    few = audio_of(CORPORA, NUM_FEW)
    for isa in checkout.worker("isas", str(checkout.root / MODELS[0])):
        for model in MODELS:
            path = str(checkout.root / model)
            yield (
                f"{isa} {Path(model).name}",
                lambda p=path, i=isa: checkout.worker("encoder", p, i),
            )
        yield (
            f"{isa} texts",
            lambda i=isa: checkout.texts(few, 320, "attention", HALFBYTE_ISA=i),
        )


def texts(checkout: Checkout) -> Iterator[tuple[str, Any]]:
    """Every test utterance in every mode."""
    for corpus in CORPORA:
        audio = audio_of([corpus])
        for chunk_ms in CHUNKS_MS:
            for mode in MODES:
                yield (
                    f"{corpus} {chunk_ms} ms {mode}",
                    lambda a=audio, c=chunk_ms, m=mode: checkout.texts(a, c, m),
                )


def events(checkout: Checkout) -> Iterator[tuple[str, Any]]:
    """What streams say, however their samples are cut."""
    few = audio_of(CORPORA, NUM_FEW)
    yield "streams", lambda: checkout.worker("events", *map(str, few))


def compiled(checkout: Checkout) -> Iterator[tuple[str, Any]]:
    """Checkpoints through export and compile; a float one through post-training quantisation."""
    few = audio_of(CORPORA, NUM_FEW)
    for name in CHECKPOINTS:
        yield name, lambda n=name: checkout.deploy(checkout.root / n, few)
    for name, options in POST_TRAINING.items():
        yield f"quantize, {name}", lambda o=options: checkout.quantize(CHECKPOINTS[1], few, o)


def losses(checkout: Checkout) -> Iterator[tuple[str, Any]]:
    """Losses of a small recipe, and the weights and the deployed model that come out."""
    for name, settings in RUNS.items():
        yield (
            name,
            lambda s=settings, e=name not in NOT_EXPORTED: train_and_deploy(checkout, s, e),
        )


PARTS = {f.__name__: f for f in (faces, encoder, texts, events, compiled, losses)}


def record(checkout: Checkout, parts: list[str]) -> dict[str, dict[str, Entry]]:
    """All entries of the parts; those that are kept are not made again."""
    result: dict[str, dict[str, Entry]] = {}
    for part in parts:
        tasks = list(PARTS[part](checkout))
        result[part] = {}
        for number, (name, make) in enumerate(tasks, 1):
            digest = hashlib.sha256(f"{part} {name}".encode()).hexdigest()[:16]
            kept = checkout.work / f"{part}-{digest}.json"
            if not kept.exists():
                print(f"{part} {number}/{len(tasks)}: {name}", file=sys.stderr, flush=True)
                write(kept, make())
            result[part][name] = json.loads(kept.read_text(encoding="utf-8"))
    return result


def write(path: Path, value: Any) -> None:
    """JSON in a stable order, whole or not at all."""
    partial = path.with_suffix(f".{os.getpid()}")
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """One line for each entry that is not the same."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before | after):
            inner = f"{place} / {name}" if place else name
            if name not in after or name not in before:
                yield f"{inner}: only {'before' if name in before else 'after'}"
            else:
                yield from differences(before[name], after[name], inner)
    elif before != after:
        yield f"{place}: {_first_difference(before, after)}"


def _first_difference(before: Any, after: Any) -> str:
    """Where two lists or two texts of several lines part, and what stands there."""
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        before, after = before.splitlines(), after.splitlines()
    if not (isinstance(before, list) and isinstance(after, list)):
        return f"{_shown(before)} became {_shown(after)}"
    pairs = enumerate(zip(before, after, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(before), len(after)))
    shown = [_shown(items[at]) if at < len(items) else "the end" for items in (before, after)]
    return f"at {at} of {len(before)}, {shown[0]} became {shown[1]}"


def _shown(value: Any) -> str:
    """A value on a line; of a hash, its beginning."""
    text = repr(value)
    return f"{text[1:13]}…" if re.fullmatch("'[0-9a-f]{64}'", text) else text


def parse() -> argparse.Namespace:
    """The command line."""
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkout", type=Path, default=here, metavar="DIR", help="built in place")
    parser.add_argument("--python", default=sys.executable, help="with all that training needs")
    parser.add_argument("-o", dest="out", type=Path, metavar="FILE", help="where the result goes")
    parser.add_argument("--only", metavar="PART,...", default=",".join(PARTS), help="%(default)s")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"))
    options = parser.parse_args()
    if unknown := set(options.only.split(",")) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if not (options.out or options.compare):
        parser.error("give -o FILE, or --compare two files")
    return options


def main() -> int:
    """Write a file or compare two; returns the exit status."""
    options = parse()
    if options.compare:
        both = [json.loads(path.read_text(encoding="utf-8")) for path in options.compare]
        found = list(differences(*both))
        print("\n".join(found) or "nothing differs")
        return 1 if found else 0
    checkout = Checkout(options.checkout.resolve(), options.python)
    write(options.out, record(checkout, options.only.split(",")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
