"""A model that says how long its encoder ran: where the time of a stream goes."""

import threading
import time
from typing import Any

from halfbyte.listen.acoustic_model import AcousticModel


class TimedModel:
    """Another model, with a watch for every thread.

    Args:
        model: what computes.
    """

    def __init__(self, model: AcousticModel):
        self._model = model
        self._watch = threading.local()
        self.settings = model.settings
        self.initial_state = model.initial_state
        self.decoder = model.decoder
        self.save_state = model.save_state
        self.restore_state = model.restore_state

    def encode(self, features: Any, state: Any) -> tuple[Any, Any]:
        """As the model's, timed."""
        start_s = time.thread_time()
        outputs = self._model.encode(features, state)
        self._watch.seconds = self.seconds + time.thread_time() - start_s
        return outputs

    @property
    def seconds(self) -> float:
        """Processor time of this thread in the encoder so far."""
        return getattr(self._watch, "seconds", 0.0)
