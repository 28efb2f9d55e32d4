"""`halfbyte serve`: a streaming server."""

import argparse
import math
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from halfbyte.errors import UsageError

EPILOG = """\
examples:
  halfbyte serve                                   this machine only, port 8765
  halfbyte serve --workers 2                       two processes, one model in memory
  halfbyte serve --wyoming-port 10300              Home Assistant's protocol as well
  HALFBYTE_TOKEN=... halfbyte serve --host 0.0.0.0 --tls cert.pem key.pem

The page is at the address that is printed; clients speak the protocols of docs/server.md. Audio
is recognised and forgotten. With HALFBYTE_TOKEN set, clients must bring that token. /health and
/metrics say how the server is.
"""

_RANGES = {  # option -> least and most
    "port": (0, 65535),
    "wyoming_port": (0, 65535),
    "workers": (1, 256),
    "threads": (1, 256),
    "max_streams": (1, math.inf),
    "max_streams_per_client": (1, math.inf),
    "max_stream_s": (1, math.inf),
    "max_message_bytes": (1, math.inf),
    "idle_s": (1, math.inf),
    "request_s": (1, math.inf),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `halfbyte serve`."""
    parser.epilog = EPILOG
    parser.add_argument("--model", type=Path, metavar="M.hb", help="default: the one included")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="port, 0 for any (%(default)s)")
    parser.add_argument("--wyoming-port", type=int, metavar="N", help="none if not given")
    parser.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="engine threads of each")
    parser.add_argument(
        "--tls", type=Path, nargs=2, metavar=("CERT", "KEY"), help="PEM files; https and wss"
    )
    parser.add_argument(
        "--allow-origin", action="append", default=[], metavar="URL", help="site that may connect"
    )
    limits = parser.add_argument_group("limits, in each process")
    limits.add_argument("--max-streams", type=int, default=1000, metavar="N")
    limits.add_argument("--max-streams-per-client", type=int, metavar="N", help="none if not given")
    limits.add_argument("--max-stream-s", type=float, default=4 * 3600.0, metavar="S")
    limits.add_argument("--max-message-bytes", type=int, default=1 << 20, metavar="N")
    limits.add_argument("--idle-s", type=float, default=60.0, metavar="S")
    limits.add_argument("--request-s", type=float, default=1800.0, metavar="S")


def _check(options: argparse.Namespace) -> None:
    for name, (least, most) in _RANGES.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            expected = f"{least} to {most}" if most < math.inf else f"at least {least}"
            raise UsageError(f"--{name.replace('_', '-')} is {value}; expected {expected}")
    for origin in options.allow_origin:
        site = urlsplit(origin)
        if site.scheme not in ("http", "https") or origin != f"{site.scheme}://{site.netloc}":
            raise UsageError(f"--allow-origin is {origin!r}; expected one like https://example.org")


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; HALFBYTE_TOKEN is read from the environment.

    Raises:
        UsageError: a number out of range, or an origin that is no web site.
        ModelFileError: the model cannot be opened.
    """
    from halfbyte.listen.recognizer import Recognizer, default_model
    from halfbyte.serve.model_copy import opener_of
    from halfbyte.serve.options import ServeOptions
    from halfbyte.serve.process import serve
    from halfbyte.serve.settings import Limits

    _check(options)
    serve_options = ServeOptions(
        options.host,
        options.port,
        options.workers,
        options.threads,
        Limits(
            max_message_bytes=options.max_message_bytes,
            max_stream_s=options.max_stream_s,
            max_streams=options.max_streams,
            max_streams_per_client=options.max_streams_per_client,
            idle_s=options.idle_s,
            request_s=options.request_s,
        ),
        os.environ.get("HALFBYTE_TOKEN") or None,
        tuple(options.allow_origin),
        tuple(options.tls) if options.tls else None,
        options.model.stem if options.model else "en-voice",
        options.wyoming_port,
    )
    if not serve_options.is_loopback and serve_options.token is None:
        print(
            "halfbyte serve: whoever reaches this address may use it; set HALFBYTE_TOKEN",
            file=sys.stderr,
        )
    if not serve_options.is_loopback and serve_options.token and options.wyoming_port is not None:
        print(
            "halfbyte serve: Wyoming knows no tokens; whoever reaches its port may use it",
            file=sys.stderr,
        )
    if options.model is not None and options.model.is_dir():
        from halfbyte.measure.evaluate import open_acoustic_model

        serve(lambda: Recognizer(open_acoustic_model(options.model)), serve_options)
    else:
        serve(opener_of(options.model or default_model()), serve_options)
    return 0
