"""All hostile files. `python tests/hostile/build.py FOLDER` writes them, with the odd audio."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile.audio import hostile_audio, odd_audio
from hostile.configs import hostile_configs
from hostile.models import hostile_models


def main() -> None:
    kinds = {
        "audio": {name: case.content for name, case in hostile_audio().items()},
        "odd-audio": odd_audio(),
        "models": {name: case.content for name, case in hostile_models().items()},
        "configs": {name: case.content for name, case in hostile_configs().items()},
    }
    for kind, files in kinds.items():
        folder = Path(sys.argv[1]) / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        print(f"{folder}: {len(files)} files")


if __name__ == "__main__":
    main()
