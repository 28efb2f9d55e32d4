"""What handlers share: the server's state, found in the application."""

from dataclasses import dataclass

from aiohttp import web

from halfbyte.listen.settings import ModelSettings
from halfbyte.serve.scheduler import Scheduler
from halfbyte.serve.session import Session
from halfbyte.serve.settings import Limits, StreamSettings


@dataclass
class Server:
    """The server's state in one process."""

    scheduler: Scheduler
    model_name: str

    @property
    def limits(self) -> Limits:
        """What is allowed."""
        return self.scheduler.limits

    @property
    def model(self) -> ModelSettings:
        """Settings of the model."""
        return self.scheduler.recognizer.model.settings

    def open(self, settings: StreamSettings, request: web.Request) -> Session:
        """Start a stream for a client; as Scheduler.open."""
        return self.scheduler.open(settings)


SERVER = web.AppKey("server", Server)
