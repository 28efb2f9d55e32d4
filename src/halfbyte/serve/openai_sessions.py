"""Settings of OpenAI's realtime sessions, in both of its forms, as ours and back."""

from typing import Any

from halfbyte.errors import HalfbyteError
from halfbyte.listen.options import EndpointRule
from halfbyte.serve.settings import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, StreamSettings

RATE_HZ = 24000  # of OpenAI's audio/pcm
_LONGEST_SILENCE_MS = 60_000


class WrongEventError(HalfbyteError):
    """An event of the client that has no effect; the connection stays.

    Args:
        code: for programs.
        message: what came, what was expected.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def settings_of(session: Any, before: StreamSettings | None) -> tuple[StreamSettings, bool]:
    """Settings of a session object, and whether the server finds the turns.

    What the object leaves out stays as it was `before`.

    Raises:
        WrongEventError: no such object, or it asks for what we do not offer.
    """
    if not isinstance(session, dict):
        raise WrongEventError("invalid_value", "expected an object session")
    audio_input = _object(_object(session, "audio"), "input")
    if not audio_input:  # the older form
        audio_input = {
            "format": session.get("input_audio_format"),
            **{key: session[key] for key in ("turn_detection",) if key in session},
        }
    before = before or StreamSettings(sample_rate_hz=RATE_HZ)
    rate_hz = _rate_hz(audio_input.get("format"), before.sample_rate_hz)
    endpoint = before.endpoint
    if "turn_detection" in audio_input:
        endpoint = _endpoint(audio_input["turn_detection"])
    settings = StreamSettings(sample_rate_hz=rate_hz, endpoint=endpoint)
    return settings, endpoint.trailing_silence_ms is not None


def session_object(settings: StreamSettings, has_turns: bool, model: str) -> dict[str, Any]:
    """The settings as a session object."""
    turns = {
        "type": "server_vad",
        "silence_duration_ms": settings.endpoint.trailing_silence_ms,
    }
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": settings.sample_rate_hz},
                "transcription": {"model": model},
                "turn_detection": turns if has_turns else None,
                "noise_reduction": None,
            }
        },
    }


def _object(holder: dict[str, Any], name: str) -> dict[str, Any]:
    value = holder.get(name) or {}
    if not isinstance(value, dict):
        raise WrongEventError("invalid_value", f"session: {name} must be an object")
    return value


def _rate_hz(form: Any, default: int) -> int:
    if form is None:
        return default
    if form == "pcm16":  # the older form
        return RATE_HZ
    if not isinstance(form, dict) or form.get("type") != "audio/pcm":
        raise WrongEventError("invalid_value", "format: audio/pcm is offered, nothing else")
    rate_hz = form.get("rate", RATE_HZ)
    if type(rate_hz) is not int or not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise WrongEventError(
            "invalid_value", f"rate: a whole number, {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}"
        )
    return rate_hz


def _endpoint(turns: Any) -> EndpointRule:
    """When a turn ends; None leaves it to the client."""
    if turns is None:
        return EndpointRule(None)
    if not isinstance(turns, dict) or turns.get("type", "server_vad") != "server_vad":
        raise WrongEventError("invalid_value", "turn_detection: server_vad or null is offered")
    default_ms = EndpointRule().trailing_silence_ms
    silence_ms = turns.get("silence_duration_ms") or default_ms
    if type(silence_ms) is not int or not 0 <= silence_ms <= _LONGEST_SILENCE_MS:
        raise WrongEventError(
            "invalid_value", f"silence_duration_ms: a whole number, 0 to {_LONGEST_SILENCE_MS}"
        )
    return EndpointRule(silence_ms)
