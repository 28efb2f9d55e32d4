"""The web application: protocols plugged into one server."""

from collections.abc import AsyncIterator

from aiohttp import web

from halfbyte.listen.recognizer import Recognizer
from halfbyte.serve import native
from halfbyte.serve.app_keys import SERVER, Server
from halfbyte.serve.scheduler import Scheduler
from halfbyte.serve.settings import Limits

PROTOCOLS = (native,)  # modules with add_routes(app)


def make_app(
    recognizer: Recognizer,
    limits: Limits | None = None,
    num_threads: int = 1,
    model_name: str = "halfbyte",
) -> web.Application:
    """An application that serves one model.

    Args:
        recognizer: of the model.
        limits: what clients may do.
        num_threads: engine threads.
        model_name: as clients see it.
    """
    app = web.Application()

    async def engine(app: web.Application) -> AsyncIterator[None]:
        scheduler = Scheduler(recognizer, limits or Limits(), num_threads)
        app[SERVER] = Server(scheduler, model_name)
        yield
        scheduler.stop()

    app.cleanup_ctx.append(engine)
    for protocol in PROTOCOLS:
        protocol.add_routes(app)
    return app
