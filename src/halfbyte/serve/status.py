"""How the server is: `/health` for whoever watches it, `/metrics` for Prometheus."""

import asyncio
import gc
import time

from aiohttp import web

from halfbyte.serve.app_keys import SERVER, Server
from halfbyte.serve.memory import heap_used_bytes, resident_bytes

_PERIOD_S = 1.0
_RECENT_S = 10.0  # over which the real-time factor is taken


def add_routes(app: web.Application) -> None:
    """Plug the pages in."""
    app.router.add_get("/health", health)
    app.router.add_get("/metrics", metrics)


async def health(request: web.Request) -> web.Response:
    """200 while streams may begin, else 503."""
    server = request.app[SERVER]
    delay_s = server.scheduler.delay_s
    is_well = not server.is_stopping and delay_s <= server.limits.max_delay_s
    body = {
        "status": "ok" if is_well else "stopping" if server.is_stopping else "overloaded",
        "model": server.model_name,
        "streams": len(server.scheduler.sessions),
        "delay_s": round(delay_s, 3),
    }
    return web.json_response(body, status=200 if is_well else 503)


async def metrics(request: web.Request) -> web.Response:
    """All workers' numbers."""
    server = request.app[SERVER]
    _put_gauges(server)
    return web.Response(
        body=server.metrics.text().encode(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def keep_gauges(server: Server) -> None:
    """Write the gauges of this process again and again, so that other workers show them too.

    Once the last client is gone, what clients left in reference cycles is given back first: a
    broken connection's traceback holds its last message, a megabyte perhaps.
    """
    engine_s = audio_s = factor = 0.0
    was_busy = False
    while True:
        is_busy = bool(server.scheduler.sessions)
        if was_busy and not is_busy:
            gc.collect()
        was_busy = is_busy
        _put_gauges(server)
        more_engine_s = server.metrics.engine_seconds() - engine_s
        more_audio_s = server.metrics.get("halfbyte_audio_seconds_total") - audio_s
        if more_audio_s > 0:
            factor += (more_engine_s / more_audio_s - factor) * _PERIOD_S / _RECENT_S
            engine_s += more_engine_s
            audio_s += more_audio_s
        server.metrics.put("halfbyte_real_time_factor", factor)
        await asyncio.sleep(_PERIOD_S)


def _put_gauges(server: Server) -> None:
    put = server.metrics.put
    put("halfbyte_queue_streams", server.scheduler.num_queued)
    put("process_resident_memory_bytes", resident_bytes())
    put("halfbyte_heap_used_bytes", heap_used_bytes())
    put("process_cpu_seconds_total", time.process_time())
