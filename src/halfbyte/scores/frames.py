"""Frame precision and recall: whether each frame has the right label."""

from dataclasses import dataclass

from halfbyte.scores.score import Score


@dataclass(frozen=True)
class FrameScore(Score):
    """Counts of frames; label 0 is nothing, and a detection is any other label.

    Attributes:
        num_detected: frames with a detection.
        num_labelled: frames that have a label.
        num_right: detections with the right label.
    """

    num_detected: int = 0
    num_labelled: int = 0
    num_right: int = 0

    def figures(self) -> dict[str, float]:
        """Share of detections that are right, and of labelled frames that are detected."""
        return {
            "precision": self.num_right / max(1, self.num_detected),
            "recall": self.num_right / max(1, self.num_labelled),
        }
