"""A stream's events as OpenAI's conversation items with their transcription."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from halfbyte.listen.events import Endpoint, Text
from halfbyte.listen.transcript import as_text
from halfbyte.serve.openai_deltas import Deltas
from halfbyte.serve.session import Session

_TRANSCRIPTION = "conversation.item.input_audio_transcription"
Say = Callable[[dict[str, Any]], Awaitable[None]]


def new_id(kind: str) -> str:
    """An identifier such as `item_5f0c…`."""
    return f"{kind}_{uuid.uuid4().hex[:21]}"


class _Item:
    """What will be one item: a segment, or all until the client commits."""

    def __init__(self) -> None:
        self.id = new_id("item")
        self.has_begun = False
        self.deltas = Deltas()
        self.finals: list[Text] = []


class Items:
    """Tells the items of one connection, over all of its streams.

    Args:
        say: sends an event.
    """

    def __init__(self, say: Say):
        self._say = say
        self._previous_id: str | None = None
        self._offset_s = 0.0  # audio of earlier streams
        self._item = _Item()

    async def tell(self, session: Session, has_turns: bool) -> None:
        """Tell what a stream says until its end.

        Args:
            session: the stream.
            has_turns: whether a segment is an item; else the whole stream is one.

        Raises:
            RefusedError: the stream breaks off.
        """
        self._item = _Item()
        reason = "finish"
        async for event in session.events():
            if isinstance(event, Endpoint):
                reason = event.reason
            elif isinstance(event, Text) and event.is_final:
                await self._take_final(event, has_turns, is_last=reason == "finish")
            elif isinstance(event, Text):
                await self._take_partial(event, has_turns)
        if not has_turns:
            await self._complete(session.fed_s)
        self._offset_s += session.fed_s

    async def _take_partial(self, event: Text, has_turns: bool) -> None:
        item = self._item
        if has_turns and not item.has_begun and event.text:
            await self._begin(event)
        text = as_text([*item.finals, event])
        await self._tell_delta(item.deltas.partial(text))

    async def _take_final(self, event: Text, has_turns: bool, is_last: bool) -> None:
        item = self._item
        item.finals.append(event)
        if not has_turns:
            return
        if event.text and not item.has_begun:
            await self._begin(event)
        if item.has_begun and not is_last:
            await self._say(
                {
                    "type": "input_audio_buffer.speech_stopped",
                    "audio_end_ms": self._ms(event.end_s),
                    "item_id": item.id,
                }
            )
        if item.has_begun or is_last:
            await self._complete(event.end_s - event.start_s)
        else:
            self._item = _Item()  # nothing was said

    async def _begin(self, event: Text) -> None:
        self._item.has_begun = True
        await self._say(
            {
                "type": "input_audio_buffer.speech_started",
                "audio_start_ms": self._ms(event.start_s),
                "item_id": self._item.id,
            }
        )

    async def _complete(self, audio_s: float) -> None:
        """Tell that the item is settled, and begin the next one."""
        item, self._item = self._item, _Item()
        previous_id, self._previous_id = self._previous_id, item.id
        await self._say(
            {
                "type": "input_audio_buffer.committed",
                "previous_item_id": previous_id,
                "item_id": item.id,
            }
        )
        shown = _shown(item.id)
        await self._say(
            {"type": "conversation.item.added", "previous_item_id": previous_id, "item": shown}
        )
        text = as_text(item.finals)
        await self._tell_delta(item.deltas.final(text), item.id)
        await self._say(
            {
                "type": f"{_TRANSCRIPTION}.completed",
                "item_id": item.id,
                "content_index": 0,
                "transcript": text,
                "usage": {"type": "duration", "seconds": round(audio_s, 3)},
            }
        )

    async def _tell_delta(self, delta: str, item_id: str | None = None) -> None:
        if delta:
            await self._say(
                {
                    "type": f"{_TRANSCRIPTION}.delta",
                    "item_id": item_id or self._item.id,
                    "content_index": 0,
                    "delta": delta,
                }
            )

    def _ms(self, seconds: float) -> int:
        """Milliseconds since the connection's first audio."""
        return round(1000 * (self._offset_s + seconds))


def _shown(item_id: str) -> dict[str, Any]:
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
