"""What `halfbyte serve` was told."""

import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from halfbyte.errors import UsageError
from halfbyte.serve.access import Access
from halfbyte.serve.settings import Limits


@dataclass(frozen=True)
class ServeOptions:
    """Where to listen, how to run, whom to serve.

    Attributes:
        host: address, or a name of this machine.
        port: 0 for any that is free.
        num_workers: processes.
        num_threads: engine threads of each.
        limits: what clients may do, in each process.
        token: that clients must bring.
        origins: web sites whose pages may connect.
        certificate: file of the TLS certificate, and of its key; None: no TLS.
        model_name: as clients see it.
        wyoming_port: for the Wyoming protocol, 0 for any that is free; None: not offered.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    num_workers: int = 1
    num_threads: int = 1
    limits: Limits = field(default_factory=Limits)
    token: str | None = None
    origins: tuple[str, ...] = ()
    certificate: tuple[Path, Path] | None = None
    model_name: str = "halfbyte"
    wyoming_port: int | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def access(self) -> Access:
        """Rules for requests."""
        return Access(self.token, self.origins, self.is_loopback)

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context.

        Raises:
            UsageError: the files are not a certificate and its key.
        """
        if self.certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(*self.certificate)
        except OSError as error:  # SSLError is one
            files = " and ".join(str(path) for path in self.certificate)
            raise UsageError(
                f"--tls: cannot load {files}: {error}; expected a certificate and its key"
            ) from error
        return context
