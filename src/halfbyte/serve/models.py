"""`GET /v1/models`: the model that listens, as OpenAI lists models, and what its card says.

Beside the usual keys: bytes, parameters (and how many of each width in bits), sample rate, chunk
lengths, the card of the model file, and results: the lines of a file `NAME.results.jsonl` beside
`NAME.hb`, such as `halfbyte eval --json` prints.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from aiohttp import web

from halfbyte.engine import ModelFile
from halfbyte.serve.app_keys import SERVER, Server

_RESULT_KEYS = ("split", "chunk_ms", "mode", "wer", "words", "rtf", "machine", "commit")


def add_routes(app: web.Application) -> None:
    """Plug the list in."""
    app.router.add_get("/v1/models", handle)
    app.router.add_get("/v1/models/{name}", handle_one)


async def handle(request: web.Request) -> web.Response:
    """The list of the one model."""
    return web.json_response({"object": "list", "data": [_model(request.app[SERVER])]})


async def handle_one(request: web.Request) -> web.Response:
    """The model itself."""
    model = _model(request.app[SERVER])
    if request.match_info["name"] != model["id"]:
        error = {"type": "invalid_request_error", "message": f"the model here is {model['id']}"}
        return web.json_response({"error": error}, status=404)
    return web.json_response(model)


def _model(server: Server) -> dict[str, Any]:
    settings = server.model
    model: dict[str, Any] = {
        "id": server.model_name,
        "object": "model",
        "created": 0,
        "owned_by": "halfbyte",
        "sample_rate_hz": settings.sample_rate_hz,
        "chunk_ms": settings.chunk_steps * settings.step_ms,
        "chunk_choices_ms": [steps * settings.step_ms for steps in settings.chunk_choices_steps],
        "card": {},
        "results": [],
    }
    file = server.scheduler.file
    return model | _file_facts(file) if file else model


def _file_facts(file: ModelFile) -> dict[str, Any]:
    num_by_bits: Counter[int] = Counter()
    for layer in file.stored_layers():
        num_by_bits[layer.bits] += layer.num_parameters
    card = file.metadata.get("card")
    return {
        "created": int(file.path.stat().st_mtime) if file.path.exists() else 0,
        "bytes": file.num_bytes,
        "parameters": num_by_bits.total(),
        "parameters_by_bits": {str(bits): num for bits, num in num_by_bits.items()},
        "card": card if isinstance(card, dict) else {},
        "results": _results(file.path.with_suffix(".results.jsonl")),
    }


def _results(path: Path) -> list[dict[str, Any]]:
    """Result lines of a model; what is no such line is left out."""
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and "split" in line and "wer" in line:
            lines.append({key: line[key] for key in _RESULT_KEYS if key in line})
    return lines
