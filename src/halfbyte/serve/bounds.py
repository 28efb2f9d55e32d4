"""What every request is held to: a head that can be read, no compression, a deadline."""

import asyncio
from typing import Any

from aiohttp import web

from halfbyte.serve.access import Handler
from halfbyte.serve.settings import Limits

_DEADLINE = web.RequestKey("deadline", asyncio.Timeout)


def bounds_middleware(limits: Limits) -> Any:
    """Holds every request to the bounds."""

    @web.middleware
    async def bound(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = None
        try:
            async with asyncio.timeout(limits.request_s) as deadline:
                request[_DEADLINE] = deadline
                response = await handler(request)
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            if response is None:
                text = f"the request took longer than {limits.request_s:g} s\n"
                raise web.HTTPRequestTimeout(text=text) from None
            if request.transport is not None:  # the answer is not read
                request.transport.abort()
        except ConnectionError:  # nobody is left to be told
            return web.Response(status=400) if response is None else response
        return response

    return bound


def lift_deadline(request: web.Request) -> None:
    """A WebSocket lasts as long as its client has something to say."""
    request[_DEADLINE].reschedule(None)


def check_heads(server: web.Server) -> None:
    """Check heads before aiohttp looks for a route: it answers `Expect` without any middleware."""
    handle = server.request_handler

    async def checked(request: web.BaseRequest) -> web.StreamResponse:
        _check_head(request)
        return await handle(request)

    server.request_handler = checked


def _check_head(request: web.BaseRequest) -> None:
    """Refuse what no handler could read, or would have to unpack.

    Raises:
        web.HTTPException: 400 or 415, with a line of text.
    """
    for name, value in request.raw_headers:
        try:
            value.decode()
        except UnicodeDecodeError:
            shown = name.decode(errors="replace")
            raise web.HTTPBadRequest(text=f"the header {shown} is not UTF-8\n") from None
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.lower() != "identity":
        text = "compressed bodies are not taken; send the body as it is\n"
        raise web.HTTPUnsupportedMediaType(text=text)
