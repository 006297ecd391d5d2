"""Letting pages of other sites ask: the headers that a browser wants to see first.

Source: Fetch standard, CORS protocol; what is answered to whom is as oslo.middleware has it.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lanekeeper.config import Cors

_ALWAYS = frozenset(
    {
        "accept",
        "accept-language",
        "cache-control",
        "content-language",
        "content-type",
        "expires",
        "last-modified",
        "pragma",
    }
)
"""Headers that every page may send. Source: oslo_middleware ``cors.py``, SIMPLE_HEADERS."""


@dataclass(frozen=True, slots=True)
class CrossOrigin:
    """An application around another, which answers browsers for it."""

    app: ASGIApp
    settings: Cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin", "") if scope["type"] == "http" else ""
        if not origin:
            await self.app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await self._preflight(scope, origin)(scope, receive, send)
        else:
            await self.app(scope, receive, self._told(origin, send))

    def _allows(self, origin: str) -> bool:
        return origin in self.settings.allowed_origin or "*" in self.settings.allowed_origin

    def _preflight(self, scope: Scope, origin: str) -> Response:
        """Answer what a browser asks before the request; an answer without headers is a no."""
        no = Response(status_code=200)
        if not self._allows(origin):
            return no
        headers = Headers(scope=scope)
        method = headers.get("access-control-request-method", "")
        wanted = [
            name.strip()
            for name in headers.get("access-control-request-headers", "").split(",")
            if name.strip()
        ]
        known = _ALWAYS | {name.lower() for name in self.settings.allow_headers}
        if method not in self.settings.allow_methods or {n.lower() for n in wanted} - known:
            return no
        yes = Response(status_code=200)
        self._name(origin, yes.headers)
        yes.headers["Access-Control-Max-Age"] = str(self.settings.max_age)
        yes.headers["Access-Control-Allow-Methods"] = method
        if wanted:
            yes.headers["Access-Control-Allow-Headers"] = ",".join(wanted)
        return yes

    def _told(self, origin: str, send: Send) -> Send:
        if not self._allows(origin):
            return send

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                self._name(origin, headers)
                if self.settings.expose_headers:
                    exposed = ",".join(self.settings.expose_headers)
                    headers["Access-Control-Expose-Headers"] = exposed
            await send(message)

        return told

    def _name(self, origin: str, headers: MutableHeaders) -> None:
        headers["Access-Control-Allow-Origin"] = origin
        headers.add_vary_header("Origin")
        if self.settings.allow_credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
