"""What is asked without a token: versions at ``/``, health, readiness, metrics."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from http import HTTPStatus

import anyio.to_thread
import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from lanekeeper.api.app import base_url
from lanekeeper.api.identity.version import versions
from lanekeeper.control.metrics import render
from lanekeeper.control.readiness import Readiness, readiness
from lanekeeper.control.site import Site

_LOOPBACK = frozenset({"127.0.0.1", "::1", "testclient"})
_SERVICES = ("identity/v3", "compute/v2.1", "network", "image", "placement")


def routes(site: Site, metrics_token: str = "") -> list[BaseRoute]:
    """Routes beside the faces.

    ``/healthz`` says that the process answers, ``/readyz`` that its database does too (503 if
    not). ``/metrics`` is open on loopback and needs *metrics_token* as a bearer elsewhere.
    """
    return [Route("/", _root(site)), *operating_routes(site, metrics_token)]


def operating_routes(site: Site, metrics_token: str = "") -> list[BaseRoute]:
    """What operators ask of any process that serves; see ``routes``."""
    return [
        Route("/healthz", lambda _: PlainTextResponse("ok\n")),
        Route("/readyz", _ready(site)),
        Route("/metrics", _metrics(site, metrics_token)),
    ]


def _root(site: Site) -> Callable[[Request], Response]:
    def root(request: Request) -> Response:
        """Identity's versions for a client, a short page for a person."""
        if "text/html" in request.headers.get("accept", ""):
            links = "".join(f'<li><a href="/{path}">/{path}</a></li>' for path in _SERVICES)
            return HTMLResponse(
                f"<!doctype html><title>Lanekeeper</title><h1>Lanekeeper</h1>{links}"
            )
        body = msgspec.json.encode(versions(base_url(request)))
        return Response(body, HTTPStatus.MULTIPLE_CHOICES, media_type="application/json")

    return root


def _ready(site: Site) -> Callable[[Request], object]:
    async def ready(request: Request) -> Response:
        state: Readiness = await anyio.to_thread.run_sync(readiness, site)
        body = msgspec.json.encode({"ready": state.ready, "checks": state.checks})
        return Response(body, 200 if state.ready else 503, media_type="application/json")

    return ready


def _metrics(site: Site, token: str) -> Callable[[Request], object]:
    async def metrics(request: Request) -> Response:
        here = request.client is not None and request.client.host in _LOOPBACK
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        # As bytes: text that is not ASCII cannot be compared, and is a wrong token all the same.
        if not here and not (token and hmac.compare_digest(given.encode(), token.encode())):
            return PlainTextResponse("metrics need a bearer token here\n", 401)
        body = await anyio.to_thread.run_sync(render, site)
        return Response(body, media_type=CONTENT_TYPE_LATEST)

    return metrics
