"""The web application: protocols plugged into one server."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from halfbyte.listen.recognizer import Recognizer
from halfbyte.serve import (
    models,
    native,
    openai_files,
    openai_realtime,
    page,
    status,
    vosk,
    wenet,
)
from halfbyte.serve.access import Access, access_middleware
from halfbyte.serve.app_keys import SERVER, Server
from halfbyte.serve.bounds import bounds_middleware
from halfbyte.serve.metrics import Metrics
from halfbyte.serve.scheduler import Scheduler
from halfbyte.serve.settings import Limits
from halfbyte.serve.status import keep_gauges

# modules with add_routes(app)
PROTOCOLS = (native, status, models, openai_files, openai_realtime, page, vosk, wenet)


def make_app(
    recognizer: Recognizer,
    limits: Limits | None = None,
    num_threads: int = 1,
    model_name: str = "halfbyte",
    access: Access | None = None,
    metrics: Metrics | None = None,
) -> web.Application:
    """An application that serves one model.

    Args:
        recognizer: of the model.
        limits: what clients may do.
        num_threads: engine threads.
        model_name: as clients see it.
        access: which clients.
        metrics: where to count.
    """
    limits = limits or Limits()
    app = web.Application(
        middlewares=[bounds_middleware(limits), access_middleware(access or Access())],
        client_max_size=limits.max_upload_bytes,
    )

    async def engine(app: web.Application) -> AsyncIterator[None]:
        scheduler = Scheduler(recognizer, limits, num_threads, metrics)
        app[SERVER] = Server(scheduler, model_name)
        gauges = asyncio.create_task(keep_gauges(app[SERVER]))
        yield
        gauges.cancel()
        scheduler.stop()

    async def drain(app: web.Application) -> None:
        await app[SERVER].drain()

    app.cleanup_ctx.append(engine)
    app.on_shutdown.append(drain)
    for protocol in PROTOCOLS:
        protocol.add_routes(app)
    return app
