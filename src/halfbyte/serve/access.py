"""Who may use the server: bearer token, origin of browsers, name of the host."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

PUBLIC_PATHS = ("/", "/health")
PUBLIC_PREFIX = "/static/"
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Access:
    """Rules that every request is checked against.

    Attributes:
        token: that a client must bring, as `Authorization: Bearer TOKEN` or, for browsers, which
            cannot set that header on a WebSocket, as `?token=TOKEN`; None: everybody may.
        origins: web sites, besides the server's own pages, whose scripts may connect.
        is_loopback: the server listens on this machine only; names that lead elsewhere are
            then refused, or a web site could reach it under a name of its own.
    """

    token: str | None = None
    origins: tuple[str, ...] = ()
    is_loopback: bool = True

    def check(self, request: web.Request) -> None:
        """Turn a request away that breaks a rule.

        Raises:
            web.HTTPException: 401 or 403, with a line of text.
        """
        if self.is_loopback and _host_name(request.host) not in _LOOPBACK_NAMES:
            raise web.HTTPForbidden(
                text=f"unknown host {request.host}; use the address that `halfbyte serve` printed\n"
            )
        origin = request.headers.get("Origin")
        if origin is not None and not self._is_welcome(origin, request.host):
            raise web.HTTPForbidden(
                text=f"pages of {origin} are not allowed; start the server with --allow-origin\n"
            )
        if not _is_public(request) and not self._knows_token(request):
            raise web.HTTPUnauthorized(
                text="missing or wrong token; send the header Authorization: Bearer TOKEN\n",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _is_welcome(self, origin: str, host: str) -> bool:
        try:
            return origin in self.origins or urlsplit(origin).netloc == host
        except ValueError:  # no address, `http://[`
            raise web.HTTPBadRequest(
                text=f"Origin is {origin}; expected an address such as https://example.org\n"
            ) from None

    def _knows_token(self, request: web.Request) -> bool:
        if self.token is None:
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = request.query.get("token", "")
        return hmac.compare_digest(given.strip().encode(), self.token.encode())


def access_middleware(access: Access) -> Any:
    """Applies the rules to every request."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        access.check(request)
        return await handler(request)

    return check


def _is_public(request: web.Request) -> bool:
    if "Upgrade" in request.headers:  # the address of the page takes WebSockets too
        return False
    return request.path in PUBLIC_PATHS or request.path.startswith(PUBLIC_PREFIX)


def _host_name(host: str) -> str:
    """Without the port: `localhost`, `127.0.0.1`, `::1`."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
