"""The running segment of a stream: its first pass, what it must remember, its final result."""

from array import array
from itertools import pairwise
from typing import Any

from halfbyte import _core
from halfbyte.errors import ModelFileError
from halfbyte.listen.acoustic_model import AcousticModel
from halfbyte.listen.events import Word
from halfbyte.listen.settings import ModelSettings
from halfbyte.listen.silence import num_silent_steps, only_blank
from halfbyte.listen.words import TimedToken, text_of, words_of

TOP_TOKENS = 10  # likeliest tokens of a step that extend a hypothesis, as in WeNet


class Segment:
    """Gathers encoder output and log-probabilities until the segment ends.

    Until its first sound, a segment says nothing whatever the model makes of digital silence.

    Args:
        settings: of the model.
        mode: how the final result is decoded.
        keeps_features: whether the segment is encoded once more as a whole at its end.
    """

    def __init__(self, settings: ModelSettings, mode: str, keeps_features: bool):
        self._settings = settings
        self._mode = mode
        self._keeps_features = keeps_features
        self.num_steps = 0
        self._num_silent_steps = 0  # before the first sound
        self._features = array("f")  # (frames, F), for a second encoding
        self._memory = array("f")  # (T, D) encoder output
        self._log_probs = array("f")  # (T, V)
        self._search = self._new_search()
        self._best = self._hypothesis()

    def accept(self, features: Any, memory: Any, log_probs: Any) -> None:
        """Take in a chunk: its feature window (T, F), encoder output (C, D) and (C, V)."""
        rows: Any = memoryview(log_probs)
        num_steps, num_tokens = rows.shape
        if num_tokens != len(self._settings.tokens):
            raise ModelFileError(
                f"the model gives {num_tokens} log-probabilities a step, its metadata lists "
                f"{len(self._settings.tokens)} tokens; export it again"
            )
        if features is not None and self._num_silent_steps == self.num_steps:
            self._num_silent_steps += num_silent_steps(
                features, self._settings.subsampling, self._settings.overlap_frames, num_steps
            )
        num_silent = min(num_steps, max(0, self._num_silent_steps - self.num_steps))
        log_probs = only_blank(log_probs, num_silent, self._settings.blank_id)
        if self._keeps_features:
            self._keep_features(features)
        self.num_steps += num_steps
        self._memory.frombytes(memoryview(memory).cast("B"))
        self._log_probs.frombytes(memoryview(log_probs).cast("B"))
        self._search.accept(log_probs)
        self._best = self._hypothesis()

    def text(self) -> str:
        """Text of the best first-pass hypothesis."""
        return text_of(self._best.tokens, self._settings.tokens)

    def last_token_step(self) -> int | None:
        """Step of the last token with text of the best hypothesis; None before the first.

        A lone start of a word does not count: models say it early, in silence.
        """
        best = self._best
        pairs = zip(reversed(best.tokens), reversed(best.frames), strict=True)
        return next((step for token, step in pairs if self._has_text(token)), None)

    def _has_text(self, token: int) -> bool:
        return text_of([token], self._settings.tokens) != ""

    def encode_whole(self, model: AcousticModel) -> None:
        """Encode the segment once more, every step seeing every other, and search again."""
        features = self._rows(self._features, self._settings.num_mel_bins)
        memory, log_probs = model.encode(features, model.initial_state())
        self._memory, self._log_probs = array("f"), array("f")
        self._search = self._new_search()
        self._keeps_features = False
        self.num_steps = 0
        self.accept(None, memory, log_probs)

    def finalize(self, model: AcousticModel, offset_s: float) -> tuple[list[str], list[Word]]:
        """Final texts, likeliest first, and the words of the first.

        Args:
            offset_s: where the segment starts in the stream.
        """
        ranked = self._ranked_tokens(model)
        step_s = self._settings.step_ms / 1000
        words = words_of(self._timed(ranked[0]), self._settings.tokens, step_s, offset_s)
        texts = (text_of(tokens, self._settings.tokens) for tokens in ranked)
        return list(dict.fromkeys(texts)), words  # tokens may differ where texts do not

    def _timed(self, tokens: list[int]) -> list[TimedToken]:
        """Tokens on the steps of their best CTC path.

        The attention decoder may say more than a CTC path can hold; such tokens are spread
        evenly and have no confidence.
        """
        num_repeats = sum(a == b for a, b in pairwise(tokens))  # with a blank between them
        if len(tokens) + num_repeats > self.num_steps:
            place = [i * self.num_steps // len(tokens) for i in range(len(tokens) + 1)]
            return [TimedToken(t, place[i], place[i + 1], 0.0) for i, t in enumerate(tokens)]
        log_probs = self._rows(self._log_probs, len(self._settings.tokens))
        return [
            TimedToken(token.token, token.start_frame, token.end_frame, token.confidence)
            for token in _core.decode.ctc_align(log_probs, tokens, self._settings.blank_id)
        ]

    def save(self) -> list[bytes]:
        """The state of the segment as byte strings."""
        parts = (self._features, self._memory, self._log_probs)
        steps = b"".join(n.to_bytes(8, "little") for n in (self.num_steps, self._num_silent_steps))
        return [steps, self._search.save(), *(part.tobytes() for part in parts)]

    def restore(self, saved: list[bytes]) -> None:
        """Take up what `save` gave.

        Raises:
            ValueError: the parts do not fit each other.
            InputError: the search's part is damaged.
        """
        steps, search, features, memory, log_probs = saved
        self.num_steps = int.from_bytes(steps[:8], "little")
        self._num_silent_steps = int.from_bytes(steps[8:], "little")
        self._search.restore(search)
        self._best = self._hypothesis()
        self._features, self._memory = array("f", features), array("f", memory)
        self._log_probs = array("f", log_probs)
        if not self._is_consistent():
            raise ValueError(f"its parts are not those of {self.num_steps} encoder steps")

    def _is_consistent(self) -> bool:
        settings, num_steps = self._settings, self.num_steps
        num_frames = num_steps * settings.subsampling + settings.overlap_frames
        if num_steps == 0 or not self._keeps_features:
            num_frames = 0
        return (
            self._search.num_frames == num_steps
            and self._num_silent_steps <= num_steps
            and len(self._features) == num_frames * settings.num_mel_bins
            and len(self._log_probs) == num_steps * len(settings.tokens)
            and len(self._memory) % max(1, num_steps) == 0
            and bool(self._memory) == bool(num_steps)
        )

    def _ranked_tokens(self, model: AcousticModel) -> list[list[int]]:
        """Tokens of the hypotheses, likeliest first; at least one."""
        settings = self._settings
        if self._num_silent_steps == self.num_steps:
            return [[]]
        if self._mode == "greedy":
            return [self._best.tokens]
        if self._mode == "prefix_beam":
            return [hypothesis.tokens for hypothesis in self._search.best(settings.beam)]
        decoder = model.decoder(self._rows(self._memory, len(self._memory) // self.num_steps))
        boundary = settings.boundary_id
        if self._mode == "attention":
            found = _core.decode.attention_search(
                decoder, boundary, boundary, self.num_steps, settings.beam
            )
            return [[t for t in one.tokens if t != settings.blank_id] for one in found]
        candidates = [(h.tokens, h.score) for h in self._search.best(settings.beam)]
        rescored = _core.decode.attention_rescoring(
            decoder, candidates, boundary, boundary, settings.ctc_weight
        )
        return [candidates[one.index][0] for one in rescored]

    def _hypothesis(self) -> Any:
        """The best first-pass hypothesis, with tokens and the frame of each."""
        return self._search if self._mode == "greedy" else self._search.best(1)[0]

    def _new_search(self) -> Any:
        blank = self._settings.blank_id
        if self._mode == "greedy":
            return _core.decode.CtcGreedy(blank)
        top_tokens = min(TOP_TOKENS, len(self._settings.tokens))
        return _core.decode.CtcPrefixBeam(blank, self._settings.beam, top_tokens)

    def _keep_features(self, window: Any) -> None:
        """Append a window of frames; it repeats the overlap with the one before."""
        rows = memoryview(window).cast("B")
        repeated = self._settings.overlap_frames if self._features else 0
        row_bytes = self._settings.num_mel_bins * self._features.itemsize
        self._features.frombytes(rows[repeated * row_bytes :])

    @staticmethod
    def _rows(values: Any, width: int) -> Any:
        """(len / width, width) view of a flat array."""
        flat = memoryview(values).cast("B")
        return flat.cast("f", (len(values) // width, width))
