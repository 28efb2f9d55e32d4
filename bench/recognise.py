"""Recognises decoded utterances in a process of its own; evaluate.py and equality.py start it.

    python bench/recognise.py MODEL INDEX OUT --chunk-ms 640 --mode greedy

Where MODEL is a .hb file, neither numpy nor torch is imported, so that the peak memory is that of
a device. Prints a dot per utterance, then writes OUT, a JSON object:

    transcripts     utterance id -> text
    seconds         processor time of recognition, from samples to final text
    audio_s         seconds of audio
    peak_rss_bytes  largest resident memory of the process
    encoder_sha256  over the bits of all encoder outputs, in order (with --hash)
"""

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

from corpus import SAMPLE_RATE_HZ, Samples

from halfbyte.listen.acoustic_model import AcousticModel
from halfbyte.listen.events import finals
from halfbyte.listen.options import EndpointRule, StreamOptions
from halfbyte.listen.recognizer import Recognizer
from halfbyte.listen.transcript import as_text
from halfbyte.measure.memory import peak_rss_bytes

ONE_SEGMENT = EndpointRule(trailing_silence_ms=None)  # an utterance of a manifest is a segment


class HashingModel:
    """An acoustic model that keeps a hash of every encoder output."""

    def __init__(self, model: AcousticModel):
        self._model = model
        self.hash = hashlib.sha256()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def run(self, graph: str, inputs: dict[str, Any], outputs: list[str], state: Any) -> list[Any]:
        """One run of a graph, an encoder's output added to the hash."""
        found = self._model.run(graph, inputs, outputs, state)
        if graph == "encoder":
            self.hash.update(memoryview(found[0]).cast("B"))
        return found


def main() -> None:
    """Recognise every utterance and write down the result."""
    options = parse()
    recognizer = Recognizer(open_model(options.model))
    hashing = HashingModel(recognizer.model) if options.hash else None
    if hashing:
        recognizer.model = hashing
    samples = Samples(options.index)
    transcripts, seconds, num_samples = {}, 0.0, 0
    for utterance_id in samples.index:
        audio = samples[utterance_id]
        num_samples += len(audio)
        start_s = time.process_time()
        stream = recognizer.stream(StreamOptions(options.chunk_ms, options.mode, ONE_SEGMENT))
        events = stream.accept(audio) + stream.finish()
        seconds += time.process_time() - start_s
        transcripts[utterance_id] = as_text(finals(events))
        print(".", end="", flush=True)
    result = {
        "transcripts": transcripts,
        "seconds": seconds,
        "audio_s": num_samples / SAMPLE_RATE_HZ,
        "peak_rss_bytes": peak_rss_bytes(),
        "encoder_sha256": hashing.hash.hexdigest() if hashing else None,
    }
    options.out.write_text(json.dumps(result), encoding="utf-8")


def open_model(path: Path) -> AcousticModel | Path:
    """A .hb file as it is; a checkpoint or ONNX folder, by way of numpy and torch, as a model."""
    if not path.is_dir():
        return path
    import torch

    from halfbyte.measure.evaluate import open_acoustic_model

    torch.set_num_threads(1)
    return open_acoustic_model(path)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path, metavar="MODEL", help=".hb file, checkpoint or ONNX")
    parser.add_argument("index", type=Path, metavar="INDEX", help="decoded audio")
    parser.add_argument("out", type=Path, metavar="OUT", help="where the result goes")
    parser.add_argument("--chunk-ms", type=int, default=640, metavar="N", help="0: whole segment")
    parser.add_argument("--mode", help="the model's own if not given")
    parser.add_argument("--hash", action="store_true", help="hash the encoder's outputs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
