"""Files that are there whole or not at all."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file such that `path` never names half of it, even if the power fails.

    Folders are made as needed; an existing file is replaced at once or, on an error, left alone.
    What is no regular file, such as /dev/stdout, is written as it is.

    Raises:
        OSError: naming `path`; the disk is full, say.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
    else:
        write_together(path.parent, {path.name: content})


def write_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files of a folder, each whole: all are on the disk before the first takes its place.

    Raises:
        OSError: naming the file; none of them is then replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporaries: dict[str, Path] = {}
    try:
        for name, content in contents.items():
            temporaries[name] = _write_beside(folder / name, content)
        for name, temporary in temporaries.items():
            os.replace(temporary, folder / name)
    except BaseException:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
        raise


def _write_beside(path: Path, content: bytes) -> Path:
    """Write a temporary file in the folder of `path`, and have it on the disk."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        os.fchmod(descriptor, 0o666 & ~_UMASK)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        os.unlink(name)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    return Path(name)


def _read_umask() -> int:
    """The process's mask of file modes, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _read_umask()
