"""What a client may ask for its stream, and what the server allows."""

from dataclasses import dataclass

from halfbyte.listen.options import StreamOptions

SAMPLE_BYTES = {"s16le": 2, "f32le": 4}
LOWEST_RATE_HZ = 8000
HIGHEST_RATE_HZ = 48000


@dataclass(frozen=True, kw_only=True)
class StreamSettings(StreamOptions):
    """Settings of one stream of a client, whatever the protocol.

    Attributes:
        encoding: of the samples: s16le or f32le, one channel.
        wants_partials: whether partial texts come out.
    """

    encoding: str = "s16le"
    wants_partials: bool = True

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return SAMPLE_BYTES[self.encoding]

    def duration_s(self, num_bytes: int) -> float:
        """Seconds that so many bytes of audio last."""
        return num_bytes / self.sample_bytes / self.sample_rate_hz


@dataclass(frozen=True)
class Limits:
    """What the server allows; whoever goes beyond gets one error event and is disconnected.

    Attributes:
        max_message_bytes: of one message of a client.
        max_upload_bytes: of one request with a file.
        max_stream_s: audio of one stream.
        max_streams: at once, in one process.
        max_streams_per_client: at once from one network address; None for no such limit.
        max_delay_s: no further stream begins while one has waited longer for the engine.
        max_queued_s: audio of a stream that waits for the engine; beyond, the server stops
            reading from the client until there is room.
        max_unsent_events: events that a client has not taken; beyond, it is too slow.
        send_s: a client that takes nothing for so long is disconnected.
        idle_s: a client that sends nothing for so long is disconnected; empty messages are nothing.
        header_s: within which a request, or a TLS handshake, has to come in whole after the
            connection was opened or the request before was answered.
        request_s: for a request that is no WebSocket, from its head to the end of its answer.
        drain_s: how long streams may go on when the server is told to stop.
    """

    max_message_bytes: int = 1 << 20
    max_upload_bytes: int = 100 << 20
    max_stream_s: float = 4 * 3600.0
    max_streams: int = 1000
    max_streams_per_client: int | None = None
    max_delay_s: float = 2.0
    max_queued_s: float = 10.0
    max_unsent_events: int = 1000
    send_s: float = 20.0
    idle_s: float = 60.0
    header_s: float = 10.0
    request_s: float = 1800.0
    drain_s: float = 5.0
