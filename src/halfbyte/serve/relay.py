"""Reading from a client and telling it what its stream says, at the same time."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def run_together(*parts: Coroutine[Any, Any, None]) -> None:
    """Run parts of a conversation until all are done or one fails; then the others are ended.

    A client that is gone ends the conversation and is no failure.

    Raises:
        Exception: what the first part to fail has raised.
    """
    error = await _first_error(parts)
    try:
        if error:
            raise error
    finally:
        error = None  # it knows this frame; the two would keep the stream until gc finds them


async def _first_error(parts: Iterable[Coroutine[Any, Any, None]]) -> Exception | None:
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    errors = (result for result in results if isinstance(result, Exception))
    return next((error for error in errors if not isinstance(error, ConnectionError)), None)
