"""`halfbyte serve`: a streaming server."""

import argparse

from halfbyte.listen.recognizer import Recognizer

EPILOG = """\
examples:
  halfbyte serve                                   on this machine only, port 8765
  halfbyte serve --host 0.0.0.0 --port 80

Clients speak the protocols of docs/protocol.md. Audio is recognised and forgotten.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--model", metavar="M.hb", help="model file (default: the one included)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="port, 0 for any (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="engine threads (%(default)s)")


def run(options: argparse.Namespace) -> int:
    from halfbyte.serve.process import serve

    serve(Recognizer(options.model), options.host, options.port, options.threads)
    return 0
