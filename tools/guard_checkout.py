"""The checkout that tools/guard.py looks at: its commands run, their output made into hashes."""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import soundfile

HERE = Path(__file__).resolve().parent
WORKER = HERE / "guard_worker.py"
OWN_FILES = sorted(HERE.glob("guard*"))
CHUNK_MS = 320  # of comparisons that have room for one chunk length
_VERB = re.compile(r"^    ([a-z]\w*)(?:  |$)", re.MULTILINE)  # a row of `halfbyte --help`
_KNOWN_WORD = ("text", "start_s", "end_s", "confidence")


class Checkout:
    """A checkout with its core built in place, and the Python that runs it.

    Args:
        root: of the checkout.
        python: an interpreter with all packages that training needs.

    Attributes:
        work: folder for what is made and for entries that are done; another one for other code.
    """

    def __init__(self, root: Path, python: str):
        self.root, self.python = root, python
        self.work = root / "build" / "guard" / self._identity()
        self.work.mkdir(parents=True, exist_ok=True)

    def _identity(self) -> str:
        """A name for the code, the core and the guard together."""
        cores = sorted((self.root / "src" / "halfbyte").glob("_core*.so"))
        if not cores:
            raise SystemExit(f"no compiled core in {self.root}; build it in place: make build")
        files = b"".join(path.read_bytes() for path in [*cores, *OWN_FILES] if path.is_file())
        git = [self._call(["git", *words]) for words in (["rev-parse", "HEAD"], ["diff", "HEAD"])]
        return hashlib.sha256(files + "".join(git).encode()).hexdigest()[:12]

    def halfbyte(self, *words: str, **variables: str) -> str:
        """What `halfbyte WORDS` prints.

        Raises:
            SystemExit: it failed; what it said is on standard error.
        """
        return self._call([self.python, "-m", "halfbyte", *words], **variables)

    def worker(self, *words: str) -> Any:
        """What a command of guard_worker.py prints."""
        return json.loads(self._call([self.python, str(WORKER), *words]))

    def _call(self, command: list[str], **variables: str) -> str:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HALFBYTE_ISA", "PYTHON"))}
        own = {
            "PYTHONPATH": str(self.root / "src"),
            "OMP_NUM_THREADS": "1",
            "HALFBYTE_THREADS": "1",
            "COLUMNS": "100",
        }
        done = subprocess.run(
            command,
            cwd=self.root,
            env=kept | own | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)[:300]}\n{done.stderr[-3000:]}")
        return done.stdout

    def helps(self) -> dict[str, str]:
        """The `--help` of the command, of each verb, and of what stands below a verb."""
        found, waiting = {}, [""]
        while waiting:
            verb = waiting.pop()
            found[f"halfbyte {verb}".strip()] = text = self.halfbyte(*verb.split(), "--help")
            if re.search(r"\[-h\].* (VERB|WHAT) \.\.\.$", text, re.MULTILINE):
                waiting += [f"{verb} {below}".strip() for below in _VERB.findall(text)]
        return found

    def texts(
        self,
        audio: list[Path],
        chunk_ms: int,
        mode: str,
        model: Path | None = None,
        **variables: str,
    ) -> dict[str, Any]:
        """Hashes of what is recognised: all texts, and all words with times and confidences."""
        words = ["transcribe", "--json", "--chunk-ms", str(chunk_ms), "--mode", mode]
        words += ["--model", str(model)] if model else []
        lines = self.halfbyte(*words, *map(str, audio), **variables).splitlines()
        said = [json.loads(line) for line in lines]
        timed = [
            [
                [s["text"], s["start_s"], s["end_s"]]
                + [[w[k] for k in _KNOWN_WORD] for w in s["words"]]
                for s in file["segments"]
            ]
            for file in said
        ]
        return {
            "files": len(said),
            "texts": digest([file["text"] for file in said]),
            "words": digest(timed),
        }

    def deploy(self, checkpoint: Path, audio: list[Path]) -> dict[str, Any]:
        """A checkpoint exported, compiled, verified, and recognising in all three forms."""
        with self.new_folder() as folder:
            onnx, model = folder / "onnx", folder / "model.hb"
            self.halfbyte("export", str(checkpoint), "-o", str(onnx))
            self.halfbyte("compile", str(onnx), "-o", str(model))
            isas = self.worker("isas", str(model))
            forms = {"checkpoint": checkpoint, "onnx": onnx, "hb": model}
            return {
                "layers": self._layers(model),
                "encoder": {isa: self.worker("encoder", str(model), isa) for isa in isas},
                "texts": self.texts(audio, CHUNK_MS, "rescoring", model),
                "verified": self._verify(checkpoint, model),
            } | {f"eval {name}": self._eval(form, audio, folder) for name, form in forms.items()}

    def _layers(self, model: Path) -> dict[str, Any]:
        """What the weights of a model file take, by no name that the file's version may change."""
        facts = json.loads(self.halfbyte("info", "--json", str(model)))
        rows = facts["layers_by_operator"].values()
        sums = {key: sum(row[key] for row in rows) for key in ("layers", "parameters", "bytes")}
        return sums | {"test_vector": facts["test_vector"]}

    def _verify(self, checkpoint: Path, model: Path) -> str:
        """How many layers `info --verify` finds equal, or what it says where none is quantised."""
        command = ["info", "--json", str(model), "--verify", str(checkpoint)]
        try:
            verified = json.loads(self.halfbyte(*command))
        except SystemExit as refusal:
            if "no quantised layer" in str(refusal):
                return "no quantised layer"
            raise
        return f"{len(verified['layers'])} layers, equal: {verified['equal']}"

    def _eval(self, form: Path, audio: list[Path], folder: Path) -> str:
        """Hash of what `halfbyte eval` hears in some recordings."""
        manifest = write_manifest(folder / "few.jsonl", audio)
        heard = folder / "heard.jsonl"
        options = ["--chunk-ms", str(CHUNK_MS), "--transcripts", str(heard)]
        self.halfbyte("eval", str(form), str(manifest), *options)
        return digest(heard.read_text(encoding="utf-8"))

    def quantize(self, checkpoint: str, audio: list[Path], options: list[str]) -> dict[str, Any]:
        """Weights that `halfbyte quantize` makes of a float checkpoint."""
        with self.new_folder() as folder:
            manifest = write_manifest(folder / "few.jsonl", audio)
            words = ["-o", str(folder / "result"), "--calibration", str(manifest), *options]
            self.halfbyte("quantize", str(self.root / checkpoint), *words)
            return {"weights": weights_digest(folder / "result")}

    @contextlib.contextmanager
    def new_folder(self) -> Iterator[Path]:
        """A folder for one entry, gone afterwards; processes may make entries side by side."""
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            yield Path(folder)

    def c_symbols(self) -> dict[str, str]:
        """Names that the C library exports, with nm's letter for their kind."""
        library = next(self._c_library().glob("libhalfbyte.*"))
        lines = self._call(["nm", "-D", "--defined-only", str(library)]).splitlines()
        return {name: kind for _, kind, name in map(str.split, lines)}

    def c_transcribe(self, audio: str) -> dict[str, str]:
        """What the C library's example says at full context and in chunks."""
        program = str(self._c_library() / "transcribe")
        model = str(self.root / "src/halfbyte/assets/en-voice.hb")
        return {ms: self._call([program, model, audio, ms]) for ms in ("0", "320")}

    def _c_library(self) -> Path:
        folder = self.work / "c"
        tools = f"{Path(self.python).parent}{os.pathsep}{os.environ['PATH']}"
        options = ["-DHALFBYTE_PYTHON=OFF", "-DHALFBYTE_C=ON"]
        self._call(["cmake", "-S", str(self.root), "-B", str(folder), *options], PATH=tools)
        self._call(["cmake", "--build", str(folder), "--parallel", "2"], PATH=tools)
        return folder


def audio_of(corpora: Iterable[str], limit: int | None = None) -> list[Path]:
    """Recordings of the corpora's test manifests in their order, or so many evenly spread ones."""
    data = os.environ.get("HALFBYTE_DATA")
    if not data:
        raise SystemExit("set HALFBYTE_DATA to the folder of the corpora")
    found = []
    for corpus in corpora:
        manifest = Path(data).resolve() / corpus / "test.jsonl"
        lines = manifest.read_text(encoding="utf-8").splitlines()
        paths = [manifest.parent / json.loads(line)["audio_filepath"] for line in lines]
        count = min(limit or len(paths), len(paths))
        found += [paths[i * len(paths) // count] for i in range(count)]
    return found


def write_manifest(path: Path, audio: list[Path]) -> Path:
    """A manifest of recordings in which something is said; what, does not matter."""
    lines = []
    for a in audio:
        duration_s = soundfile.info(str(a)).duration
        lines.append(
            {"audio_filepath": str(a), "text": "yes", "duration": duration_s, "id": a.name}
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def weights_digest(checkpoint: Path) -> str:
    """Hash of all tensors of a checkpoint, whatever their names.

    A safetensors file: 8 bytes with the length of a JSON header, the header, the tensors.
    """
    content = (checkpoint / "weights.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    spans = [tensor["data_offsets"] for tensor in header.values()]
    return digest(
        sorted(hashlib.sha256(content[start + a : start + b]).hexdigest() for a, b in spans)
    )


def digest(value: Any) -> str:
    """SHA-256 of a value as JSON."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()
