"""The way to the controller that many agents of one process share, and one that is slow."""

from __future__ import annotations

import ssl
import time
from threading import Event

import httpx


class SharedLine(httpx.BaseTransport):
    """One pool of connections for all, for as long as the process lives; no client closes it."""

    def __init__(self, authority: str | None) -> None:
        """*authority* is the controller's CA, PEM; None for plain HTTP."""
        verify = False if authority is None else ssl.create_default_context(cadata=authority)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._pool = httpx.HTTPTransport(verify=verify, trust_env=False, limits=limits)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._pool.handle_request(request)


class SlowLine(httpx.BaseTransport):
    """*line*, and before each request as many seconds as ``delay_s`` says.

    Attributes:
        told: set once the controller has taken a host's first whole report.
    """

    def __init__(self, line: SharedLine) -> None:
        self._line = line
        self.delay_s = 0.0
        self.told = Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.delay_s:
            time.sleep(self.delay_s)
        answer = self._line.handle_request(request)
        if answer.is_success and request.url.path.endswith("/state"):
            self.told.set()
        return answer
