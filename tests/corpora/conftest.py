"""Where the recordings are that these tests need."""

import os
from pathlib import Path

import pytest

BESIDE_THE_REPOSITORY = Path(__file__).parents[3] / "shared" / "speech"


@pytest.fixture(scope="session")
def speech() -> Path:
    """Folder of corpora: HALFBYTE_DATA, else ../shared/speech; a failure where there is none."""
    folder = Path(os.environ.get("HALFBYTE_DATA") or BESIDE_THE_REPOSITORY)
    if not folder.is_dir():
        pytest.fail(f"no corpora in {folder}; set HALFBYTE_DATA to their folder")
    return folder.resolve()
