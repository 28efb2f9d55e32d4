"""The language of a model, as protocols name it."""

from halfbyte.serve.app_keys import Server

_CODES = {  # ISO 639-1
    "arabic": "ar",
    "chinese": "zh",
    "dutch": "nl",
    "english": "en",
    "french": "fr",
    "german": "de",
    "hindi": "hi",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "polish": "pl",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
    "turkish": "tr",
}


def language_name(server: Server) -> str:
    """Such as `english`; empty if the model's card has none."""
    file = server.scheduler.file
    card = file.metadata.get("card") if file else None
    return str(card.get("language", "")).lower() if isinstance(card, dict) else ""


def language_code(server: Server) -> str:
    """Such as `en`; the name where we know no code."""
    name = language_name(server)
    return _CODES.get(name, name)
