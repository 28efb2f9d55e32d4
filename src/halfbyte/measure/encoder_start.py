"""A process that opens an encoder and runs chunks of silence, without torch or numpy.

    python encoder_start.py FILE FRAMES LEFT_STEPS ISA

Prints a line after the first output, then one with its figures: JSON.
"""

import json
import sys
import time
from array import array

from halfbyte.engine import ModelFile, Session, State
from halfbyte.measure.memory import peak_rss_bytes

NUM_BINS, CHUNKS = 80, 8


def main(path: str, frames: int, left_context_steps: int, isa: str) -> None:
    """Runs, prints."""
    size = frames * NUM_BINS
    features = memoryview(array("f", [0.0]) * size).cast("B").cast("f", (1, frames, NUM_BINS))
    interpreter_bytes = peak_rss_bytes()
    start_ns = time.process_time_ns()
    file = ModelFile(path)
    session = Session(file, "encoder", isa=isa or None)
    state = State(file, "encoder", left_context_steps)
    session.run({"features": features}, state)
    opened_ns = time.process_time_ns()
    print("first output", flush=True)
    for _ in range(CHUNKS):
        session.run({"features": features}, state)
    figures = {
        "open_and_first_chunk_ms": (opened_ns - start_ns) / 1e6,
        "interpreter_rss_bytes": interpreter_bytes,
        "peak_rss_bytes": peak_rss_bytes(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
