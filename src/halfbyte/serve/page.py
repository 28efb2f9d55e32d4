"""The web page at `/`: files of the folder `page`, nothing from other hosts.

A WebSocket at `/` is a client of Vosk's or WeNet's server, which know no other address; its first
message says of which.
"""

from pathlib import Path

from aiohttp import WSMsgType, web

from halfbyte.serve import vosk, wenet
from halfbyte.serve.refusals import RefusedError
from halfbyte.serve.sockets import ClientSocket

FOLDER = Path(__file__).parent / "page"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # a newer server brings a newer page
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


def add_routes(app: web.Application) -> None:
    """Plug the page in, a route for each of its files."""
    app.router.add_get("/", handle_root)
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in _TYPES:
            app.router.add_get(f"/static/{path.name}", handle_file)


async def handle_root(request: web.Request) -> web.StreamResponse:
    """The page, or a WebSocket of a client that knows no other address."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await _converse(request)
    return _answer("index.html")


async def handle_file(request: web.Request) -> web.StreamResponse:
    """A file of the page; only those of the folder have a route."""
    return _answer(request.path.removeprefix("/static/"))


def _answer(name: str) -> web.Response:
    path = FOLDER / name
    headers = HEADERS | {"Content-Type": _TYPES[path.suffix]}
    return web.Response(body=path.read_bytes(), headers=headers)


async def _converse(request: web.Request) -> web.WebSocketResponse:
    socket = await ClientSocket.accept(request)
    try:
        first = await socket.receive()
    except RefusedError as refusal:
        await socket.close(refusal.close_code)
        return socket.response
    if first is not None:
        is_wenet = first.type is WSMsgType.TEXT and '"signal"' in first.data
        await (wenet if is_wenet else vosk).converse(socket, first)
    return socket.response
