"""The ASGI application: faces under their prefixes, every request through one dispatcher."""

from __future__ import annotations

import re
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lanekeeper.api.faults import fault_of
from lanekeeper.api.microversion import Microversion, Versions
from lanekeeper.api.policy import Enforcer
from lanekeeper.api.row import Call, Face, NoBody, Reply, Row, decode
from lanekeeper.control.caller import Caller
from lanekeeper.control.committed import telling_what_is_stored
from lanekeeper.control.site import Site
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Invalid, TooLarge, Unauthenticated

log = structlog.get_logger("lanekeeper.api")

Authenticate = Callable[[Request, str], Caller]
"""Who a request's credentials are (request, request id); raises Unauthenticated."""

_THREADS = 32
_SLOW_THREADS = 16
_LOGIN_THREADS = 4  # each computes scrypt, which takes a core and 16 MiB
_VERSIONLESS = Microversion(0, 0)
_REQUEST_ID = re.compile(rb"req-[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Threads:
    """How many threads each kind of row may take, so that none leaves the others without.

    Attributes:
        common: what has no reason to be elsewhere, and all authentication by tokens.
        slow: rows that wait for something outside.
        logins: rows that need no token, so that anybody may call them.
    """

    common: anyio.CapacityLimiter
    slow: anyio.CapacityLimiter
    logins: anyio.CapacityLimiter

    def of(self, row: Row[Any]) -> anyio.CapacityLimiter:
        if row.policy is None:
            return self.logins
        return self.slow if row.slow else self.common


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands before every row: who asks, and may they.

    Attributes:
        identity: where tokens are to be had, said to who comes without: a URL, or a path here.
    """

    site: Site
    authenticate: Authenticate
    enforcer: Enforcer
    threads: Threads
    identity: str = "/identity"


@dataclass(frozen=True, slots=True)
class _Operation:
    row: Row[Any]
    since: Microversion | None
    until: Microversion | None
    decoder: typed.Decoder[Any]

    def has(self, version: Microversion) -> bool:
        return (self.since is None or self.since <= version) and (
            self.until is None or version <= self.until
        )


def application(
    site: Site,
    faces: Iterable[Face],
    authenticate: Mapping[str, Authenticate],
    enforcer: Enforcer,
    routes: Iterable[BaseRoute] = (),
    *,
    identity: str = "/identity",
) -> ASGIApp:
    """Build the whole of what the port answers.

    *authenticate* is by face name, ``""`` for those not named; *routes* are plain ones beside the
    faces (``/``, ``/healthz``, ``/metrics``); *identity* is where tokens are to be had.
    """
    threads = Threads(*map(anyio.CapacityLimiter, (_THREADS, _SLOW_THREADS, _LOGIN_THREADS)))
    services: dict[str, ASGIApp] = {}
    for face in faces:
        who = authenticate.get(face.name, authenticate[""])
        gate = Gate(site, who, enforcer, threads, identity)
        if face.threads:
            limiter = anyio.CapacityLimiter(face.threads)
            gate = replace(gate, threads=replace(threads, common=limiter))
        build = face.build or service
        services[face.prefix] = build(face, gate)
    plain = list(routes)
    rest = Starlette(routes=plain)
    rest.router.redirect_slashes = False
    own = frozenset(route.path for route in plain if isinstance(route, Route))
    return RequestLog(Doors(services, rest, own))


def service(face: Face, gate: Gate) -> Starlette:
    """Build one face; every fault, 404 and 405 too, wears its envelope."""

    async def fault(request: Request, error: Exception) -> Response:
        return refuse(face, request, error)

    by_path: dict[str, dict[str, list[_Operation]]] = defaultdict(lambda: defaultdict(list))
    for row in face.rows:
        by_path[row.path][row.method].append(_operation(row))
    routes = [
        Route(path, _dispatch(face, gate, operations), methods=list(operations))
        for path, operations in by_path.items()
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: fault})
    app.router.redirect_slashes = False
    return app


def refuse(face: Face, request: Request, error: Exception) -> Response:
    """Answer *error* in the face's words; what is not expected goes to the log, whole."""
    request_id = request.scope.get("lanekeeper.request_id", "")
    fault = fault_of(error, request_id)
    if fault.kind == "Bug":
        log.error("request.failed", request_id=request_id, path=request.url.path, exc_info=error)
    headers = dict(fault.headers)
    if fault.status == 401:  # noqa: PLR2004 HTTP
        headers["WWW-Authenticate"] = f'Keystone uri="{base_url(request)}/identity"'
    return _json(face.envelope(fault), fault.status, headers)


def base_url(request: Request) -> str:
    """Scheme, host and port as the client wrote them."""
    scheme = request.scope["scheme"]
    server = request.scope.get("server") or ("localhost", 80)
    host = request.headers.get("host") or f"{server[0]}:{server[1]}"
    return f"{scheme}://{host}"


def _operation(row: Row[Any]) -> _Operation:
    return _Operation(
        row,
        Microversion.parse(row.since) if row.since else None,
        Microversion.parse(row.until) if row.until else None,
        typed.decoder(row.accepts),
    )


def _dispatch(
    face: Face, gate: Gate, operations: Mapping[str, list[_Operation]]
) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        try:
            return await _respond(face, gate, operations, request)
        except ClientDisconnect:
            raise
        except Exception as error:  # turned into the face's fault; a bug is logged there
            return refuse(face, request, error)

    return respond


async def _respond(
    face: Face, gate: Gate, operations: Mapping[str, list[_Operation]], request: Request
) -> Response:
    version = face.versions.wanted(request.headers) if face.versions else _VERSIONLESS
    method = "HEAD" if "HEAD" in operations and request.method == "HEAD" else request.method
    candidates = operations.get("GET" if method == "HEAD" and method not in operations else method)
    operation = next((o for o in candidates or () if o.has(version)), None)
    if operation is None:
        raise HTTPException(404, f"Not Found at version {version}")
    caller = await _identify(gate, operation.row, request)
    call = Call(
        site=gate.site,
        body=None if operation.row.stream else await _body(face, gate, operation, request),
        path=request.path_params,
        query=tuple(request.query_params.multi_items()),
        headers=request.headers,
        base_url=base_url(request),
        mount=request.scope.get("lanekeeper.mount", ""),
        microversion=version,
        request_id=request.scope["lanekeeper.request_id"],
        identified=caller,
        token=request.headers.get("x-auth-token", ""),
        enforce=gate.enforcer.check,
        threads=gate.threads.of(operation.row),
    )
    _no_nul(call)
    response = await _answer(gate, operation.row, call, request)
    if face.versions:
        response.headers.update(_version_headers(face.versions, version, response))
    return response


async def _identify(gate: Gate, row: Row[Any], request: Request) -> Caller | None:
    if row.policy is None:
        return None
    request_id = request.scope["lanekeeper.request_id"]
    caller = await anyio.to_thread.run_sync(
        gate.authenticate, request, request_id, limiter=gate.threads.common
    )
    gate.enforcer.check(row.policy, caller)
    return caller


async def _body(face: Face, gate: Gate, operation: _Operation, request: Request) -> Any:
    most = face.body_bytes_max or gate.site.config.lanekeeper.body_bytes_max
    raw = await _bounded(request, most)
    if operation.row.accepts is NoBody:
        return None
    return decode(operation.decoder, raw)


async def _bounded(request: Request, most: int) -> bytes:
    too_large = f"the body is larger than {most} bytes, the most that is taken here"
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > most:
        raise TooLarge(too_large)
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > most:
            raise TooLarge(too_large)
    return bytes(raw)


def _no_nul(call: Call[Any]) -> None:
    for name, value in (*call.path.items(), *call.query):
        if "\0" in str(value):
            raise Invalid(f"{name} contains a NUL character")


async def _answer(gate: Gate, row: Row[Any], call: Call[Any], request: Request) -> Response:
    if row.stream is not None:
        return await row.stream(call, request)
    reply = await anyio.to_thread.run_sync(_handle, row, call, limiter=call.threads)
    if not isinstance(reply, Reply):
        reply = Reply(body=reply)
    status = reply.status or row.status
    if reply.body is None:
        return Response(status_code=status, headers=dict(reply.headers))
    if isinstance(reply.body, bytes):
        return Response(reply.body, status, dict(reply.headers), reply.media_type)
    return _json(reply.body, status, reply.headers)


def _handle(row: Row[Any], call: Call[Any]) -> object:
    assert row.handler is not None, f"{row.method} {row.path} has no handler"
    with telling_what_is_stored():
        return row.handler(call)


def _version_headers(versions: Versions, used: Microversion, response: Response) -> dict[str, str]:
    headers = versions.answer(used)
    if "vary" in response.headers:
        headers["Vary"] = f"{response.headers['vary']}, {headers['Vary']}"
    return headers


def _json(body: object, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")


class Doors:
    """Sends a request to the face whose prefix it has, with the prefix cut off.

    Paths of *plain* routes come first: a face may hang at the root.

    A slash at the end is cut off too: clients write ``/things`` and ``/things/`` and never want a
    redirect.
    """

    def __init__(
        self, services: Mapping[str, ASGIApp], rest: ASGIApp, plain: frozenset[str] = frozenset()
    ) -> None:
        self._services = sorted(services.items(), key=lambda item: -len(item[0]))
        self._rest = rest
        self._plain = plain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        path = scope["path"].rstrip("/") or "/"
        faces = () if path in self._plain else self._services
        for prefix, app in faces:
            if path == prefix or path.startswith(f"{prefix}/"):
                below = path.removeprefix(prefix) or "/"
                inner = {**scope, "path": below, "raw_path": None, "lanekeeper.mount": prefix}
                await app(inner, receive, send)
                return
        await self._rest({**scope, "path": path}, receive, send)


class RequestLog:
    """Gives every request an id and writes its one line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req-{uuid.uuid4()}"
        scope["lanekeeper.request_id"] = request_id
        whole = _whole_id(scope)
        status = 500
        started = time.perf_counter()

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", []).append(
                    (b"x-openstack-request-id", request_id.encode())
                )
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            status = 499  # nginx's number for a client that went away
        finally:
            log.info(
                "request.served",
                request_id=request_id,
                **whole,
                method=scope["method"],
                path=scope["path"],
                status=status,
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
            )


def _whole_id(scope: Scope) -> dict[str, str]:
    """The id of the larger work that a request of another service is a part of, if it told one."""
    for name, value in scope["headers"]:
        if name == b"x-openstack-request-id" and _REQUEST_ID.fullmatch(value):
            return {"global_request_id": value.decode("ascii")}
    return {}


def bearer(request: Request) -> str:
    """The token of a request.

    Raises:
        Unauthenticated: there is none.
    """
    token = request.headers.get("x-auth-token", "")
    if not token:
        raise Unauthenticated("The request you have made requires authentication.")
    return token
