"""The bytes of images, in and out; they go by in pieces and are never whole in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import anyio
from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from lanekeeper.api.row import MEMBER, READER, Call, Policy, Row, Strict
from lanekeeper.control.image.copy import image_bytes
from lanekeeper.control.image.data import (
    Upload,
    begin_upload,
    check_size,
    import_staged,
    readable_image,
)
from lanekeeper.domain.errors import Invalid, NotOffered

OCTETS = "application/octet-stream"
_PIECE_BYTES = 2**20
_SILENCE_S_MAX = 120  # a client that sends nothing for so long has gone

_UPLOAD = Policy("upload_image", MEMBER)


class Method(Strict, frozen=True):
    name: str
    uri: str | None = None


class Import(Strict, frozen=True):
    method: Method
    stores: list[str] | None = None
    all_stores: bool | None = None
    all_stores_must_succeed: bool | None = None


async def upload(call: Call[None], request: Request) -> Response:
    """Take an image's data; the image is active afterwards."""
    return await _receive(call, request, stage=False)


async def stage(call: Call[None], request: Request) -> Response:
    """Take an image's data for a later import."""
    return await _receive(call, request, stage=True)


async def download(call: Call[None], request: Request) -> Response:
    """Send an image's data; 204 while it has none."""
    found = await run_sync(readable_image, call.site, call.caller, call.path["image"])
    if found is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    # It may have to come from another controller first; no thread waits for that.
    path = await asyncio.wrap_future(image_bytes(call.site, found))
    # The checksum is the whole image's and would be wrong for a part of it.
    headers = {} if "range" in request.headers else {"Content-MD5": found.md5 or ""}
    return FileResponse(path, headers=headers, media_type=OCTETS)


def import_image(call: Call[Import]) -> None:
    """Make an image of its staged data."""
    if call.body.method.name != "glance-direct":
        raise NotOffered(f"method.name: {call.body.method.name!r} is not offered; glance-direct is")
    import_staged(call.site, call.caller, call.path["image"])


async def _receive(call: Call[None], request: Request, *, stage: bool) -> Response:
    media_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in {"", OCTETS}:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type {media_type}; data is {OCTETS}"
        )
    announced = _announced(call)
    check_size(call.site, announced or 0)
    coming = await run_sync(
        lambda: begin_upload(call.site, call.caller, call.path["image"], stage=stage)
    )
    try:
        async for piece in _pieces(request):
            await run_sync(coming.write, piece)
        await run_sync(coming.finish, announced)
    except BaseException:  # the client went away, too: whatever it was, nothing may be left
        await _abort(coming)
        raise
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _abort(coming: Upload) -> None:
    with anyio.CancelScope(shield=True):
        await run_sync(coming.abort)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces large enough to be worth a thread."""
    stream = aiter(request.stream())
    gathered = bytearray()
    while (chunk := await _next(stream)) is not None:
        gathered += chunk
        if len(gathered) >= _PIECE_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    try:
        with anyio.fail_after(_SILENCE_S_MAX):
            return await anext(stream, None)
    except TimeoutError as error:
        raise HTTPException(
            HTTPStatus.REQUEST_TIMEOUT, f"no data came for {_SILENCE_S_MAX} s"
        ) from error


def _announced(call: Call[Any]) -> int | None:
    """How many bytes the client says there are.

    Raises:
        Invalid: not a whole number.
    """
    for name in ("x-openstack-image-size", "content-length"):
        text = call.headers.get(name)
        if text is None:
            continue
        if not (text.isascii() and text.isdigit() and len(text) < len(str(2**63))):
            raise Invalid(f"the header {name} is not a number of bytes: {text[:64]!r}")
        return int(text)
    return None


_ONE = "/v2/images/{image}"

ROWS: tuple[Row[Any], ...] = (
    Row(
        method="PUT",
        path=_ONE + "/file",
        stream=upload,
        policy=_UPLOAD,
        status=HTTPStatus.NO_CONTENT,
        summary="Take an image's data.",
    ),
    Row(
        method="GET",
        path=_ONE + "/file",
        stream=download,
        policy=Policy("download_image", READER),
        summary="Send an image's data.",
    ),
    Row(
        method="PUT",
        path=_ONE + "/stage",
        stream=stage,
        policy=_UPLOAD,
        status=HTTPStatus.NO_CONTENT,
        summary="Take an image's data for a later import.",
    ),
    Row(
        method="POST",
        path=_ONE + "/import",
        handler=import_image,
        accepts=Import,
        policy=_UPLOAD,
        status=HTTPStatus.ACCEPTED,
    ),
)
