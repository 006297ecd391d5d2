"""The door for agents: report, ask what is wanted, fetch what it names. See ``protocol.py``."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from lanekeeper.api.faults import UpgradeRequired, own_fault
from lanekeeper.api.row import Call, Face, Policy, Reply, Row
from lanekeeper.control.caller import Caller
from lanekeeper.control.host.console import console_store
from lanekeeper.control.host.desired import desired_of, desired_stamp, image_of
from lanekeeper.control.host.enrolment import authenticate_host, enrol, rotate_credential
from lanekeeper.control.host.facts import report_facts, try_facts
from lanekeeper.control.host.health import report_health
from lanekeeper.control.host.heartbeat import Heartbeats
from lanekeeper.control.host.host import check_history, report_state
from lanekeeper.control.identity.authority import open_authority
from lanekeeper.control.image.copy import image_bytes
from lanekeeper.control.network.port_vf import report_vfs
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Forbidden, Invalid, TooLarge, Unauthenticated, Unavailable
from lanekeeper.protocol import (
    CONSOLE_BYTES,
    HEADER,
    PREFIX,
    VERSION,
    Credential,
    Enrolment,
    HostFacts,
    HostHealth,
    HostState,
    HostVfs,
)

WAIT_MAX_S = 60.0
_THREADS = 24
_ID_MAX = 36  # characters of a UUID
_FETCH_S_MAX = 10.0  # an agent gives up after 20 s without a byte; the fetch goes on
AGENT = Policy("lanekeeper:agent", "role:agent")
_BODY_BYTES_MAX = 16 * 2**20
"""Facts of a host with some thousand functions."""


def authenticator(site: Site, heartbeats: Heartbeats) -> Callable[[Request, str], Caller]:
    """How this face knows its callers; every authenticated request is a heartbeat."""

    def authenticate(request: Request, request_id: str) -> Caller:
        try:
            caller = authenticate_host(site, _credential(request), request_id)
        except Unauthenticated:
            heartbeats.refused(request.path_params.get("host_id", "")[:_ID_MAX])
            raise
        heartbeats.seen(caller.user_id)
        return caller

    return authenticate


def _credential(request: Request) -> str:
    """The credential that a request carries.

    Raises:
        Unauthenticated: it carries none.
    """
    kind, _, credential = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise Unauthenticated("agents authenticate with: Authorization: Bearer CREDENTIAL")
    return credential.strip()


def _host(call: Call[Any]) -> str:
    """The host of the path, which must be the agent's own.

    Raises:
        Forbidden: it is another's.
        UpgradeRequired: the agent speaks another version.
    """
    _check_protocol(call)
    if call.path["host_id"] != call.caller.user_id:
        raise Forbidden("a credential is good for its own host only")
    return call.caller.user_id


def _check_protocol(call: Call[Any]) -> None:
    """Let agents of this version and of the one before in, so that hosts are upgraded after us.

    Raises:
        UpgradeRequired: the agent speaks another version.
    """
    spoken = call.headers.get(HEADER.lower(), str(VERSION))
    if spoken not in (str(VERSION), str(VERSION - 1)):
        raise UpgradeRequired(
            f"agent protocol {spoken[:20]} is not spoken here; {VERSION - 1} and {VERSION} are",
            hint="upgrade the controller first, then the agents; neither by more than one version",
        )


def show_authority(call: Call[None]) -> Reply:
    """Show the controller's CA certificate; the enrolment token carries its fingerprint."""
    return Reply(
        body=open_authority(call.site).certificate_pem.encode(), media_type="application/x-pem-file"
    )


def create_credential(call: Call[None]) -> Credential:
    """Give an agent its next credential; the one that it asks with is good until that was used."""
    return Credential(credential=rotate_credential(call.site, _host(call)))


def create_enrolment(call: Call[Enrolment]) -> Credential:
    """Enrol a host with a one-time token."""
    _check_protocol(call)  # before the token is spent
    body = call.body
    return Credential(credential=enrol(call.site, body.token, body.host_id, body.host_name))


def put_facts(call: Call[HostFacts]) -> None:
    """Take over what seldom changes on a host."""
    report_facts(call.site, _host(call), call.body)


def post_trial(call: Call[HostFacts]) -> None:
    """Say whether these facts would be taken over; nothing is."""
    try_facts(call.site, _host(call), call.body)


def put_state(call: Call[HostState]) -> None:
    """Take over what often changes on a host."""
    report_state(call.site, _host(call), call.body)


def put_health(call: Call[HostHealth]) -> None:
    """Take over what a host reads of its devices."""
    report_health(call.site, _host(call), call.body)


def put_vfs(call: Call[HostVfs]) -> None:
    """Take over what the VFs of a host's guests are set to."""
    report_vfs(call.site, _host(call), call.body)


async def get_desired(call: Call[None], request: Request) -> Response:
    """Answer the host's desired state as soon as it differs from what the agent has got."""
    host_id = _host(call)
    after = call.asked("after") or ""
    wait_s = _wait(call.asked("wait"))
    await anyio.to_thread.run_sync(check_history, call.site, host_id, after, limiter=call.threads)
    if not await _changed(call, host_id, after, wait_s):
        return Response(status_code=304)
    if wait_s:  # its credential may have been revoked while it waited
        await anyio.to_thread.run_sync(
            authenticate_host,
            call.site,
            _credential(request),
            call.request_id,
            limiter=call.threads,
        )
    desired = await anyio.to_thread.run_sync(desired_of, call.site, host_id, limiter=call.threads)
    return Response(msgspec.json.encode(desired), media_type="application/json")


async def _changed(call: Call[None], host_id: str, after: str, wait_s: float) -> bool:
    """Wait until something else than *after* is wanted; no thread is held meanwhile."""
    site, loop = call.site, asyncio.get_running_loop()
    rung = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(rung.set)

    stop = site.bells.listen(host_id, wake)
    deadline = loop.time() + wait_s
    try:
        while True:
            # The bell is heard from before this look on, so no ring falls between the two.
            stamp = await anyio.to_thread.run_sync(
                desired_stamp, site, host_id, limiter=call.threads
            )
            if stamp != after:
                return True
            remaining = deadline - loop.time()
            if remaining <= 0 or site.bells.closed:
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(rung.wait(), remaining)
            rung.clear()
    finally:
        stop()


def _wait(text: str | None) -> float:
    try:
        wait_s = float(text or 0)
    except ValueError:
        wait_s = math.nan
    if not math.isfinite(wait_s):
        raise Invalid(f"wait: {(text or '')[:40]!r} is not a number of seconds")
    return min(max(wait_s, 0.0), WAIT_MAX_S)


async def get_image(call: Call[None], request: Request) -> Response:
    """Stream an image that the host's desired state names, and no other."""
    record = await anyio.to_thread.run_sync(
        image_of, call.site, _host(call), call.path["image_id"], limiter=call.threads
    )
    coming = asyncio.wrap_future(image_bytes(call.site, record))
    try:
        path = await asyncio.wait_for(coming, _FETCH_S_MAX)
    except TimeoutError as error:
        raise Unavailable(
            f"image {record.id} is on its way from another controller; ask again"
        ) from error
    return FileResponse(path, media_type="application/octet-stream")


async def put_console(call: Call[None], request: Request) -> Response:
    """Keep the tail of a guest's console that somebody is reading."""
    host_id = _host(call)
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > CONSOLE_BYTES:
            raise TooLarge(f"a console tail is at most {CONSOLE_BYTES} bytes")
    text = raw.decode("utf-8", "replace")
    server_id = call.path["server_id"]
    await anyio.to_thread.run_sync(
        console_store, call.site, host_id, server_id, text, limiter=call.threads
    )
    return Response(status_code=204)


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/authority", handler=show_authority),
    Row(method="POST", path="/enrolments", handler=create_enrolment, accepts=Enrolment),
    Row(
        method="PUT",
        path="/hosts/{host_id}/facts",
        handler=put_facts,
        accepts=HostFacts,
        policy=AGENT,
    ),
    Row(
        method="POST",
        path="/hosts/{host_id}/facts/trial",
        handler=post_trial,
        accepts=HostFacts,
        policy=AGENT,
    ),
    Row(
        method="PUT",
        path="/hosts/{host_id}/state",
        handler=put_state,
        accepts=HostState,
        policy=AGENT,
    ),
    Row(
        method="PUT",
        path="/hosts/{host_id}/health",
        handler=put_health,
        accepts=HostHealth,
        policy=AGENT,
    ),
    Row(
        method="PUT",
        path="/hosts/{host_id}/vfs",
        handler=put_vfs,
        accepts=HostVfs,
        policy=AGENT,
    ),
    Row(
        method="POST",
        path="/hosts/{host_id}/credential",
        handler=create_credential,
        policy=AGENT,
        status=HTTPStatus.CREATED,
    ),
    Row(method="GET", path="/hosts/{host_id}/desired", stream=get_desired, policy=AGENT),
    Row(method="GET", path="/hosts/{host_id}/images/{image_id}", stream=get_image, policy=AGENT),
    Row(
        method="PUT",
        path="/hosts/{host_id}/consoles/{server_id}",
        stream=put_console,
        policy=AGENT,
    ),
)

FACE = Face(
    name="agent",
    prefix=PREFIX,
    rows=ROWS,
    envelope=own_fault,
    body_bytes_max=_BODY_BYTES_MAX,
    threads=_THREADS,
)
