"""Clients that send whatever they like."""

import json
from typing import Any

import aiohttp
from hypothesis import strategies as st

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


async def say(socket: aiohttp.ClientWebSocketResponse, said: list[str | bytes]) -> None:
    try:
        for message in said:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_str(message.encode("utf-8", "replace").decode())
        await socket.send_str('{"type": "finish"}')
    except (ConnectionError, aiohttp.ClientError):
        pass  # the server has closed already


async def hear(socket: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    heard = []
    while (message := await socket.receive(timeout=20)).type is aiohttp.WSMsgType.TEXT:
        heard.append(json.loads(message.data))
    return heard
