"""The model of a server: a copy of the file, so that nobody can change it under running streams."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from halfbyte.engine import ModelFile
from halfbyte.errors import UsageError
from halfbyte.listen.engine_model import EngineModel
from halfbyte.listen.recognizer import Recognizer


def opener_of(path: Path) -> Callable[[], Recognizer]:
    """Opens a model file in this process and in those forked from it, as it is now.

    The weights are read where they lie in the file. Were it truncated or written over, a running
    stream would be killed or hear nonsense. On Linux the processes share a copy in memory, and a
    worker that starts later has the model of the others; elsewhere a file may be replaced by
    renaming another one over it, and in no other way.

    Raises:
        ModelFileError: the model cannot be opened.
        UsageError: there is no room for it.
    """
    ModelFile(path)  # what is wrong with it is told with its own name
    copy = _in_memory(path) if hasattr(os, "memfd_create") else path

    def open_copy() -> Recognizer:
        file = ModelFile(copy)
        file.path = path  # what lies beside it belongs to it
        return Recognizer(EngineModel(file))

    return open_copy


def _in_memory(path: Path) -> Path:
    """A file without a name, which lasts as long as the processes that have it open."""
    number = os.memfd_create(path.name)
    try:
        with path.open("rb") as file, open(number, "wb", closefd=False) as copy:
            shutil.copyfileobj(file, copy)
    except OSError as error:
        raise UsageError(f"{path} cannot be copied into memory: {error.strerror}") from None
    return Path(f"/proc/self/fd/{number}")
