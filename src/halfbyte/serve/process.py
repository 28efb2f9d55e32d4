"""Server processes: listening sockets, one worker or many, the last goodbye.

Workers are not kept by gunicorn (27.0): it opens a worker's sockets in that worker, so connections
that wait are lost with it and `--port 0` gives each another port; nor by uvicorn (0.54), which runs
ASGI alone, over one shared socket. Neither knows a second protocol on a port of its own.
"""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from halfbyte.errors import UsageError
from halfbyte.listen.recognizer import Recognizer
from halfbyte.serve.app import make_app
from halfbyte.serve.app_keys import SERVER
from halfbyte.serve.bounds import check_heads
from halfbyte.serve.door import Door, most_connections
from halfbyte.serve.frames import Connection
from halfbyte.serve.memory import settle_malloc
from halfbyte.serve.metrics import Metrics, SharedNumbers
from halfbyte.serve.options import ServeOptions
from halfbyte.serve.quiet import log_sparingly
from halfbyte.serve.wyoming import wyoming_server

logger = logging.getLogger(__name__)

_BACKLOG = 1024
_CLOSE_S = 3.0  # for connections, after streams were drained
_RESTART_S = 1.0  # a worker that dies sooner is started again only after so long
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(open_recognizer: Callable[[], Recognizer], options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        open_recognizer: called in every process; they share the memory of a .hb file.
        options: where and how.

    Raises:
        UsageError: the address cannot be listened on, or the certificate is none.
        HalfbyteError: the model cannot be opened.
    """
    log_sparingly()
    settle_malloc()
    _allow_many_sockets()
    recognizer = open_recognizer()  # before anything is bound: a mistake is said at once
    options.tls()
    sockets = [_Listeners(listener) for listener in _listen(options, options.port)]
    _show("https" if options.certificate else "http", sockets[0].http)
    if options.wyoming_port is not None:
        for listeners, listener in zip(
            sockets, _listen(options, options.wyoming_port), strict=True
        ):
            listeners.wyoming = listener
        _show("tcp", listener)
    if options.num_workers == 1:
        asyncio.run(_work(recognizer, sockets[0], options, Metrics(), None))
    else:
        del recognizer
        _Workers(open_recognizer, sockets, options).run()


@dataclass
class _Listeners:
    """The sockets on which a worker listens."""

    http: socket.socket
    wyoming: socket.socket | None = None

    def close(self) -> None:
        self.http.close()
        if self.wyoming:
            self.wyoming.close()


def _allow_many_sockets() -> None:
    """As many open files as the system lets us ask for: a stream is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _listen(options: ServeOptions, port: int) -> list[socket.socket]:
    """One socket a worker, all on one port: the kernel spreads connections over them.

    The parent keeps them, so that the connections that wait for a worker that died are served
    by the one after it.
    """
    sockets: list[socket.socket] = []
    wanted_port = port
    try:
        family, *_, address = socket.getaddrinfo(
            options.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        for _ in range(options.num_workers):
            listener = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if options.num_workers > 1:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it
                unread_ms = round(1000 * options.limits.idle_s)
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread_ms)
            listener.bind((address[0], port, *address[2:]))
            listener.listen(_BACKLOG)
            port = listener.getsockname()[1]
    except OSError as error:
        for listener in sockets:
            listener.close()
        raise UsageError(
            f"cannot listen on {options.host}, port {wanted_port}: {error.strerror or error}"
        ) from error
    return sockets


def _show(scheme: str, listener: socket.socket) -> None:
    host, port, *_ = listener.getsockname()
    print(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


async def _work(
    recognizer: Recognizer,
    listeners: _Listeners,
    options: ServeOptions,
    metrics: Metrics,
    parent_pipe: int | None,
) -> None:
    """One worker, until it is told to stop or its parent is gone."""
    app = make_app(
        recognizer,
        options.limits,
        options.num_threads,
        options.model_name,
        options.access,
        metrics,
    )
    runner = web.AppRunner(app, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    door = Door(most_connections(options.limits), options.limits.header_s)
    _forget_start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    if parent_pipe is not None:
        loop.add_reader(parent_pipe, stop.set)  # it is closed with the parent
    async with contextlib.AsyncExitStack() as stack:
        if listeners.wyoming:
            await stack.enter_async_context(wyoming_server(app[SERVER], listeners.wyoming, door))
        async with door.opened(listeners.http, _connections(runner, options), options.tls()):
            await stop.wait()
        if parent_pipe is not None:
            loop.remove_reader(parent_pipe)
        await runner.cleanup()
    gc.unfreeze()  # the interpreter takes itself apart with the collector


def _connections(runner: web.AppRunner, options: ServeOptions) -> Callable[[], Connection]:
    """Makes the protocol of each connection over HTTP."""
    assert runner.server
    check_heads(runner.server)
    settings: dict[str, Any] = {
        "manager": runner.server,
        "loop": asyncio.get_running_loop(),
        "access_log": None,
        "auto_decompress": False,
        "keepalive_timeout": options.limits.header_s,  # from the start of a connection, too
    }
    return partial(Connection, **settings)


def _forget_start() -> None:
    """Collect the garbage of starting; what is left now stays, and is not looked through again."""
    gc.collect()
    gc.freeze()


class _Workers:
    """The parent of worker processes: starts them, starts anew what dies, ends them all."""

    def __init__(
        self,
        open_recognizer: Callable[[], Recognizer],
        sockets: list[_Listeners],
        options: ServeOptions,
    ):
        self._open_recognizer = open_recognizer
        self._sockets = sockets
        self._options = options
        self._numbers = SharedNumbers(options.num_workers)
        self._pipe = os.pipe()
        self._workers: dict[int, tuple[int, float]] = {}  # pid -> number, when it was started
        self._is_stopping = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and until all workers have ended."""
        for number in _STOP_SIGNALS:
            signal.signal(number, self._stop)
        for worker in range(self._options.num_workers):
            self._start(worker)
        while self._workers:
            self._wait_for_one()

    def _start(self, worker: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._run_worker(worker)
        self._workers[pid] = (worker, time.monotonic())
        if self._is_stopping:  # the signal came between fork and here
            os.kill(pid, signal.SIGTERM)

    def _run_worker(self, worker: int) -> None:
        """In the child; never returns."""
        status = 1
        try:
            for number in _STOP_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            os.close(self._pipe[1])
            for other, listeners in enumerate(self._sockets):
                if other != worker:
                    listeners.close()
            metrics = Metrics(self._numbers, worker)
            metrics.clear_gauges()
            asyncio.run(
                _work(
                    self._open_recognizer(),
                    self._sockets[worker],
                    self._options,
                    metrics,
                    self._pipe[0],
                )
            )
            status = 0
        except KeyboardInterrupt:
            status = 0
        except Exception:
            logger.exception("worker %d failed", worker)
        finally:
            sys.stdout.flush()
            os._exit(status)

    def _wait_for_one(self) -> None:
        pid, status = os.wait()
        worker, started_s = self._workers.pop(pid)
        if self._is_stopping:
            return
        logger.warning(
            "worker %d (process %d) ended with status %d; starting it again",
            worker,
            pid,
            os.waitstatus_to_exitcode(status),
        )
        if time.monotonic() - started_s < _RESTART_S:
            time.sleep(_RESTART_S)
        if not self._is_stopping:
            self._start(worker)

    def _stop(self, *_: object) -> None:
        """Tell all workers; those that do not listen are killed after a while."""
        if not self._is_stopping:
            self._is_stopping = True
            for pid in self._workers:
                os.kill(pid, signal.SIGTERM)
            signal.signal(signal.SIGALRM, self._kill)
            signal.setitimer(
                signal.ITIMER_REAL, self._options.limits.drain_s + 2 * _CLOSE_S + _RESTART_S
            )

    def _kill(self, *_: object) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
