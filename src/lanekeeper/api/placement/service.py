"""Placement's own manners: in which order a request is judged, and how it is refused.

A token first, then the microversion, the path, the method, the content type, the rule, and only
then what was sent. A body is bytes until its handler asks for it, as ``views.valid`` does.

Source: placement ``deploy.py``, ``handler.py``, ``util.py``; checked by its gabbi files.
"""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl

import anyio.to_thread
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lanekeeper.api.app import Gate, base_url, log
from lanekeeper.api.faults import Fault, fault_of, image_fault
from lanekeeper.api.microversion import Microversion
from lanekeeper.api.placement.accept import chosen, is_json_wanted
from lanekeeper.api.placement.version import CODES_SINCE, wanted
from lanekeeper.api.row import Call, Face, NoBody, Reply, Row
from lanekeeper.control.caller import Caller
from lanekeeper.control.committed import telling_what_is_stored
from lanekeeper.domain.errors import Invalid, TooLarge

_SMALL_BYTES = 2**16
_SAID: Mapping[int, str] = {
    400: "The request is not one that can be carried out.",
    401: "This service needs a token that is valid.",
    403: "Access was denied to this resource.",
    404: "The resource could not be found.",
    406: "The resource is not there in a form that your browser takes.",
    409: "There was a conflict when trying to complete your request.",
    413: "The body is too large.",
    415: "The media type of the body is not supported.",
    500: "Something went wrong in the service.",
    503: "The service cannot answer now.",
}


@dataclass(frozen=True, slots=True)
class _Operation:
    row: Row[bytes]
    since: int
    until: int

    def has(self, version: Microversion) -> bool:
        return self.since <= version.minor <= self.until


@dataclass(slots=True)
class _Asked:
    """One request on its way through the checks.

    Attributes:
        version: None until it is known, which is when refusals begin to name it.
    """

    request: Request
    request_id: str
    version: Microversion | None = None


def build(face: Face, gate: Gate) -> ASGIApp:
    """Make the application that answers *face*'s rows as Placement would."""
    paths = _Paths(face)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        asked = _Asked(request, scope.get("lanekeeper.request_id", ""))
        try:
            response = await _respond(face, gate, paths, asked)
        except ClientDisconnect:
            raise
        except Exception as error:  # turned into a refusal; a bug is logged there
            response = _refuse(asked, error, gate.identity)
        if asked.version is not None:
            response.headers["OpenStack-API-Version"] = f"placement {asked.version}"
            response.headers["Vary"] = "openstack-api-version"
        await response(scope, receive, send)

    return answer


class _Paths:
    """Finds a path's rows by its parts, of which a row's template leaves some open."""

    def __init__(self, face: Face) -> None:
        self._rows: dict[tuple[str, ...], dict[str, list[_Operation]]] = {}
        self._templates: dict[tuple[str, ...], tuple[str, ...]] = {}
        for row in face.rows:
            parts = tuple(row.path.split("/")[1:])
            shape = tuple("{}" if part.startswith("{") else part for part in parts)
            self._templates[shape] = parts
            operations = self._rows.setdefault(shape, defaultdict(list))
            operations[row.method].append(_Operation(row, _minor(row.since, 0), _minor(row.until)))

    def find(self, path: str) -> tuple[dict[str, list[_Operation]], dict[str, str]] | None:
        """Return a path's operations by method, and what stands in its open parts."""
        parts = tuple(path.split("/")[1:])
        for shape in (parts, _shape(parts)):
            if operations := self._rows.get(shape):
                names = zip(self._templates[shape], parts, strict=True)
                return operations, {n[1:-1]: part for n, part in names if n.startswith("{")}
        return None


def _minor(version: str, unbounded: int = 10_000) -> int:
    return Microversion.parse(version).minor if version else unbounded


def _shape(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Every second part is a name, where it is not empty."""
    return tuple("{}" if place % 2 and part else part for place, part in enumerate(parts))


async def _respond(face: Face, gate: Gate, paths: _Paths, asked: _Asked) -> Response:
    request = asked.request
    at_root = request.scope["path"] == "/"
    limiter = gate.threads.logins if at_root else gate.threads.common
    if not at_root and _is_large(request):  # a stranger's megabytes are not taken in
        await anyio.to_thread.run_sync(
            gate.authenticate, request, asked.request_id, limiter=limiter
        )
    raw = await _body(request, face.body_bytes_max)

    def work() -> Response:
        return _judge(gate, paths, asked, raw)

    return await anyio.to_thread.run_sync(work, limiter=limiter)


def _is_large(request: Request) -> bool:
    """Whether a body is larger than most, or of a length that nobody knows."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit():
        return int(length) > _SMALL_BYTES
    return "transfer-encoding" in request.headers


def _judge(gate: Gate, paths: _Paths, asked: _Asked, raw: bytes) -> Response:
    request, path = asked.request, asked.request.scope["path"]
    caller = None if path == "/" else gate.authenticate(request, asked.request_id)
    asked.version = version = wanted(request.headers)
    _check_length(request)
    found = paths.find(path)
    if found is None:
        raise HTTPException(404, "")
    operations, open_parts = found
    row = _row(operations, request.method, version)
    _check_media(row, request)
    if row.policy is not None and not row.asks:
        assert caller is not None, "only the root is asked without a token"
        gate.enforcer.check(row.policy, caller)
    with telling_what_is_stored():
        reply = _answer(row, _call(gate, asked, caller, open_parts, raw))
    status = int(reply.status or row.status)
    if reply.body is None:
        return Response(status_code=status, headers=dict(reply.headers))
    return Response(
        msgspec.json.encode(reply.body), status, dict(reply.headers), "application/json"
    )


def _row(
    operations: Mapping[str, list[_Operation]], method: str, version: Microversion
) -> Row[bytes]:
    """Choose the row of a method at a version.

    Raises:
        HTTPException: the path has no such method (405), or not at this version: 404, as if there
            were none, but for removing all inventories, which old clients are told otherwise.
    """
    rows = operations.get(method)
    if not rows:
        allowed = {"Allow": ", ".join(operations)}
        text = f"The method {method} is not allowed for this resource."
        raise HTTPException(405, text, allowed)
    for operation in rows:
        if operation.has(version):
            return operation.row
    if method == "DELETE" and rows[0].row.path.endswith("/inventories"):
        raise HTTPException(405, f"The method {method} is not allowed for this resource.")
    raise HTTPException(404, "")


def _check_length(request: Request) -> None:
    length = request.headers.get("content-length", "")
    if not length:
        return
    if not (length.isascii() and length.isdigit()):
        raise Invalid("content-length header must be an integer")
    if int(length) > 0 and not request.headers.get("content-type"):
        raise Invalid("content-type header required when content-length > 0")


def _check_media(row: Row[bytes], request: Request) -> None:
    if row.accepts is not NoBody:
        sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if sent != "application/json":
            raise HTTPException(
                415, f"The media type {sent or 'None'} is not supported, use application/json"
            )
        return
    has_body = row.method == "GET" and row.status == HTTPStatus.OK and row.path != "/"
    if has_body and not is_json_wanted(request.headers.get("accept", "")):
        raise HTTPException(406, "Only application/json is provided")


def _call(
    gate: Gate, asked: _Asked, caller: Caller | None, open_parts: Mapping[str, str], raw: bytes
) -> Call[bytes]:
    """Put together what a handler sees.

    Raises:
        Invalid: something in the path or the query that no name can hold.
    """
    assert asked.version is not None, "the version is known by now"
    request = asked.request
    call = Call(
        site=gate.site,
        body=raw,
        path=open_parts,
        query=_query(request.scope["query_string"]),
        headers=request.headers,
        base_url=base_url(request),
        mount=request.scope["lanekeeper.mount"],
        microversion=asked.version,
        request_id=asked.request_id,
        identified=caller,
        enforce=gate.enforcer.check,
    )
    for name, value in (*open_parts.items(), *call.query):
        if "\0" in name or "\0" in value:
            raise Invalid(f"{name!r} contains a NUL character")
    return call


def _answer(row: Row[bytes], call: Call[bytes]) -> Reply:
    assert row.handler is not None, f"{row.method} {row.path} has no handler"
    reply = row.handler(call)
    return reply if isinstance(reply, Reply) else Reply(body=reply)


def _query(raw: bytes) -> tuple[tuple[str, str], ...]:
    try:
        text = raw.decode("ascii")
        return tuple(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as error:
        raise Invalid(f"Invalid query string parameters: not UTF-8: {error.reason}") from error


async def _body(request: Request, most: int) -> bytes:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > most:
            raise TooLarge(f"the body is larger than {most} bytes, the most that is taken here")
    return bytes(raw)


# Refusals -----------------------------------------------------------------------------------------


def _refuse(asked: _Asked, error: Exception, identity: str) -> Response:
    fault = fault_of(error, asked.request_id)
    if fault.kind == "Bug":
        path = asked.request.url.path
        log.error("request.failed", request_id=asked.request_id, path=path, exc_info=error)
    headers, status = dict(fault.headers), int(fault.status)
    if fault.status == HTTPStatus.UNAUTHORIZED and identity:
        where = f"{base_url(asked.request)}{identity}" if identity.startswith("/") else identity
        headers["WWW-Authenticate"] = f'Keystone uri="{where}"'
    kind = chosen(asked.request.headers.get("accept", ""), "text/html", "application/json")
    if kind == "text/html":
        return Response(_page(fault), status, headers, "text/html")
    if fault.status == HTTPStatus.UNAUTHORIZED:
        body = image_fault(fault)  # flat, because no error format is agreed on before the token
    else:
        body = {"errors": [_error(asked, fault)]}
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def _error(asked: _Asked, fault: Fault) -> dict[str, object]:
    error: dict[str, object] = {
        "status": int(fault.status),
        "title": fault.status.phrase,
        "detail": _detail(fault),
        "request_id": fault.request_id,
    }
    if asked.version is not None and asked.version.minor >= CODES_SINCE:
        error["code"] = fault.code or "placement.undefined_code"
    return {**error, **fault.facts}


def _detail(fault: Fault) -> str:
    """A sentence for the status, then the message: clients show the last line."""
    said = _SAID.get(int(fault.status), "")
    return "\n\n".join(part for part in (said, fault.message) if part)


def _page(fault: Fault) -> str:
    title = f"{int(fault.status)} {fault.status.phrase}"
    told = html.escape(_detail(fault)).replace("\n\n", "</p><p>")
    return f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{told}</p>\n"
