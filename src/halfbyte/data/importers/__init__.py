"""Corpus layouts that `halfbyte prepare` reads: one importer a file."""

from pathlib import Path

from halfbyte.data.importers.aishell import AISHELL
from halfbyte.data.importers.common_voice import COMMON_VOICE
from halfbyte.data.importers.huggingface import HUGGINGFACE
from halfbyte.data.importers.kaldi import KALDI
from halfbyte.data.importers.lhotse_cuts import LHOTSE
from halfbyte.data.importers.librispeech import LIBRISPEECH
from halfbyte.data.importers.nemo import NEMO
from halfbyte.data.importers.shar import SHAR
from halfbyte.data.importers.table import TABLE
from halfbyte.data.importers.wenet import WENET
from halfbyte.data.source import Importer
from halfbyte.errors import UsageError

# In the order in which they are tried: a folder of several kinds of file is what is named first.
IMPORTERS = {
    importer.name: importer
    for importer in (
        KALDI,
        SHAR,
        HUGGINGFACE,
        LIBRISPEECH,
        COMMON_VOICE,
        AISHELL,
        WENET,
        LHOTSE,
        NEMO,
        TABLE,
    )
}
AUTO = "auto"


def choose_importer(source: Path, name: str = AUTO) -> Importer:
    """The importer of that name, or the first whose layout the source has.

    Raises:
        UsageError: the source is missing, or has not the layout.
    """
    if not source.exists():
        raise UsageError(f"no such file or folder: {source}")
    if name != AUTO:
        importer = IMPORTERS[name]
        if not importer.matches(source):
            raise UsageError(f"{source} is no {name} corpus; expected {importer.layout}")
        return importer
    for importer in IMPORTERS.values():
        if importer.matches(source):
            return importer
    known = "; ".join(f"{i.name}: {i.layout}" for i in IMPORTERS.values())
    raise UsageError(f"cannot tell the layout of {source}; expected one of these: {known}")
