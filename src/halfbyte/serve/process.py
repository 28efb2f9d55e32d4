"""A server process: from a listening socket to the last goodbye."""

import asyncio
import signal

from aiohttp import web

from halfbyte.listen.recognizer import Recognizer
from halfbyte.serve.app import make_app


def serve(recognizer: Recognizer, host: str, port: int, num_threads: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    asyncio.run(_serve(recognizer, host, port, num_threads))


async def _serve(recognizer: Recognizer, host: str, port: int, num_threads: int) -> None:
    runner = web.AppRunner(make_app(recognizer, num_threads=num_threads), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    print(f"http://{host}:{runner.addresses[0][1]}", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()
