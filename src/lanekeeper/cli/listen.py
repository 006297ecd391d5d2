"""Where the controller listens: plain HTTP on loopback only, HTTPS anywhere."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from lanekeeper.domain.errors import Invalid, Unavailable


@dataclass(frozen=True, slots=True)
class Listen:
    """One address; port 0 lets the kernel choose."""

    host: str
    port: int
    tls: bool = False

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        return _is_loopback(self.host)

    @property
    def is_wildcard(self) -> bool:
        """Whether it is every address of the machine, which is none to connect to."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 compared, not bound

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Read ``HOST:PORT``, ``http://HOST:PORT`` or ``https://HOST:PORT``.

        Raises:
            Invalid: not of that form, or plain HTTP on an address that is not loopback.
        """
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            port = parts.port
        except ValueError as error:  # also an address with one bracket
            raise Invalid(f"listen {text!r}: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or port is None:
            raise Invalid(
                f"listen {text!r} is not HOST:PORT, http://HOST:PORT or https://HOST:PORT"
            )
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise Invalid(
                f"listen {text!r}: plain HTTP is for loopback only",
                hint=f"use https://{parts.hostname}:{port}",
            )
        return cls(parts.hostname, port, parts.scheme == "https")

    def bind(self) -> tuple[Listen, socket.socket]:
        """Open the socket; the address that comes back has the port that the kernel chose.

        Raises:
            Unavailable: it is taken, or not this machine's.
        """
        try:
            opened = socket.create_server(
                (self.host, self.port),
                family=socket.AF_INET6 if ":" in self.host else socket.AF_INET,
                backlog=2048,
            )
        except OSError as error:
            raise Unavailable(f"cannot listen on {self.url}: {error.strerror}") from error
        # What is accepted inherits it. asyncio would set it only on sockets whose protocol number
        # is given, and without it a small answer waits 40 ms for the client's delayed ACK.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Listen(self.host, opened.getsockname()[1], self.tls), opened


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
