"""The door for the other controllers on the same database: they fetch what they lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from lanekeeper.api.faults import own_fault
from lanekeeper.api.row import Call, Face, Policy, Row
from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.errand import ROLE, authenticate_errand
from lanekeeper.control.image.copy import PREFIX, copy_path
from lanekeeper.control.site import Site

_THREADS = 8
_CONTROLLER = Policy("lanekeeper:controller", f"role:{ROLE}")


def authenticator(site: Site) -> Callable[[Request, str], Caller]:
    """How this face knows its callers."""

    def authenticate(request: Request, request_id: str) -> Caller:
        text = request.headers.get("authorization", "")
        return authenticate_errand(site, text.removeprefix("Bearer ").strip(), request_id)

    return authenticate


async def get_image(call: Call[None], request: Request) -> Response:
    """Send the bytes of an image that are here."""
    path = await run_sync(copy_path, call.site, call.path["image_id"], limiter=call.threads)
    return FileResponse(path, media_type="application/octet-stream")


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/images/{image_id}", stream=get_image, policy=_CONTROLLER),
)

FACE = Face(name="controller", prefix=PREFIX, rows=ROWS, envelope=own_fault, threads=_THREADS)
