"""When a segment ends: by silence after words, or by length."""

from dataclasses import dataclass


@dataclass
class EndpointRule:
    """A segment ends after `trailing_silence_ms` without a word once words were heard,
    and after `max_segment_ms` in any case; None turns the first rule off.
    """

    trailing_silence_ms: int | None = 800

    def is_endpoint(
        self, num_steps: int, last_token_step: int | None, step_ms: int, max_segment_ms: int
    ) -> bool:
        """Whether the segment ends here.

        Args:
            num_steps: encoder steps of the segment so far.
            last_token_step: step of the last token with text of the best hypothesis; None
                without one.
        """
        if num_steps * step_ms >= max_segment_ms:
            return True
        if self.trailing_silence_ms is None or last_token_step is None:
            return False
        return (num_steps - 1 - last_token_step) * step_ms >= self.trailing_silence_ms
