"""The steps of a lesson: learn, compile, and compare with the model that it started from."""

import importlib.util
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halfbyte.data.manifest import read_manifest
from halfbyte.errors import UsageError
from halfbyte.export.onnx_model import compile_folder, export
from halfbyte.files import write_whole
from halfbyte.listen.recognizer import Recognizer
from halfbyte.measure.evaluate import Evaluation, evaluate
from halfbyte.progress import progress_bar
from halfbyte.teach.advice import advice_for, settings_for
from halfbyte.teach.confusion import confusion_table
from halfbyte.teach.recordings import HELD_OUT, LEARN, Recordings
from halfbyte.train.checkpoint import read_checkpoint_config
from halfbyte.train.config import AnyConfig, with_overrides
from halfbyte.train.run import train

WEIGHTS_PACKAGE = "halfbyte_en_voice_weights"


def included_weights() -> Path:
    """The checkpoint folder of the included model, which is a package of its own.

    Raises:
        UsageError: it is not installed.
    """
    package = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if package is None or not package.submodule_search_locations:
        name = WEIGHTS_PACKAGE.replace("_", "-")
        raise UsageError(
            f"the weights to start from are not installed; in a checkout type: "
            f"pip install ./packages/{name}, or give a checkpoint folder with --from"
        )
    return Path(next(iter(package.submodule_search_locations)))


def lesson_config(
    start: Path, recordings: Recordings, name: str, overrides: list[str]
) -> AnyConfig:
    """The configuration of the checkpoint, with settings for these recordings."""
    folder = json.dumps(str(recordings.folder.absolute()))
    return with_overrides(
        read_checkpoint_config(start),
        [
            f"name={json.dumps(name)}",
            f"data.root={folder}",
            f"data.cache={folder}",
            f"data.train=[{LEARN}]",
            f"data.dev=[{HELD_OUT}]",
            "data.noise=[]",
            "loop.threads=0",
            *settings_for(recordings),
            *overrides,
        ],
    )


def learn(config: AnyConfig, start: Path, work: Path) -> Path:
    """Fine-tune, or go on where an earlier call stopped; returns the checkpoint folder.

    What only an interrupted training needs is removed at the end: the next call begins anew.
    """
    run, result = work / "train", work / "result"
    trained = train(config, run, start)
    shutil.rmtree(result, ignore_errors=True)
    shutil.move(trained, result)
    shutil.rmtree(run)
    return result


def make_file(checkpoint: Path, work: Path, path: Path, recordings: Recordings) -> None:
    """Export and compile a checkpoint."""
    card = {
        "made_for": "the words and voices that it was taught",
        "recipe": f"halfbyte teach, {recordings.num_learn} recordings",
    }
    export(checkpoint, work / "onnx", card)
    compile_folder(work / "onnx", path)
    shutil.rmtree(work / "onnx")


@dataclass(frozen=True)
class Report:
    """How well the recordings that were held out are recognised.

    Attributes:
        before, after: by the included model and by the taught one.
        pairs: what was said and what the taught model heard.
    """

    recordings: Recordings
    before: Evaluation
    after: Evaluation
    pairs: list[tuple[str, str]]

    def as_dict(self) -> dict[str, Any]:
        """The figures, for programs."""
        wrong = [{"said": said, "heard": heard} for said, heard in self.pairs if said != heard]
        return {
            "recordings": self.recordings.num_learn,
            "held_out": self.recordings.num_held_out,
            "bad": self.recordings.bad,
            "before": self.before.summary(),
            "after": self.after.summary(),
            "mistakes": wrong,
        }

    def as_text(self) -> str:
        """The confusion table, and what helps next."""
        num_right = sum(said == heard for said, heard in self.pairs)
        num_before = self.before.spoken.num_right + self.before.silent.num_right
        return "\n".join(
            [
                confusion_table(self.pairs),
                "",
                f"{num_right} of {len(self.pairs)} held-out recordings are right; "
                f"before this lesson, {num_before} were.",
                f"Held out: {self.recordings.held_out}.",
                f"{self.recordings.num_learn} recordings are "
                f"{advice_for(self.recordings.num_learn).expect}.",
            ]
        )


def measure(path: Path, recordings: Recordings, work: Path) -> Report:
    """Recognise the held-out recordings with the included model and the taught one."""
    utterances = read_manifest(recordings.folder / HELD_OUT)
    before, after = Evaluation(), Evaluation()
    for _, before, after in progress_bar(  # noqa: B007 - the last ones are wanted
        zip(
            utterances,
            evaluate(Recognizer(), utterances, 0, None),
            evaluate(Recognizer(path), utterances, 0, None),
            strict=True,
        ),
        "checking",
        len(utterances),
    ):
        pass
    pairs = [(u.text, after.transcripts[u.id]) for u in utterances]
    report = Report(recordings, before, after, pairs)
    write_whole(work / "report.txt", (report.as_text() + "\n").encode())
    return report
