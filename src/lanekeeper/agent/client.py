"""The agent's side of the protocol, over HTTP. See ``protocol.py`` for what is said."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.errors import (
    Conflict,
    Error,
    Forbidden,
    HostFault,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from lanekeeper.no_answer import no_answer
from lanekeeper.protocol import (
    HEADER,
    PREFIX,
    VERSION,
    Credential,
    Desired,
    Enrolment,
    HostFacts,
    HostHealth,
    HostState,
    HostVfs,
)

_TIMEOUT = httpx.Timeout(20.0, connect=5.0)  # seconds
_POLL_MARGIN_S = 15.0  # a parked answer may be this late before the controller counts as gone
_CHUNK_BYTES = 1 << 20
_SAID_MAX = 2000  # characters of a refusal that are repeated
_UPGRADE_REQUIRED = HTTPStatus.UPGRADE_REQUIRED

REFUSED = "the controller answers"
"""How a refusal begins that came from the controller."""

_REFUSALS: dict[int, type[Error]] = {
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    _UPGRADE_REQUIRED: Invalid,
}


class KeptCredential(httpx.Auth):
    """The credential as it is kept on this host, read again once it is refused.

    So a running agent goes on with the next one as soon as the one before is worth nothing.
    """

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._credential = read()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        used = self._credential
        request.headers["Authorization"] = f"Bearer {used}"
        answer = yield request
        if answer.status_code != HTTPStatus.UNAUTHORIZED:
            return
        self._credential = self._read()
        if self._credential != used:
            request.headers["Authorization"] = f"Bearer {self._credential}"
            yield request


class Client:
    """One host's connection to its controller. Thread-safe.

    Every call raises:
        Unavailable: no answer, or the controller is not well. Try again later.
        Unauthenticated, Forbidden: the credential is not good (any more).
        NotFound: the controller does not know this host, or that image.
        Conflict: this host is frozen there; nothing may be touched.
        Invalid: the controller refuses what was said, or speaks another protocol.
    """

    def __init__(
        self,
        url: str,
        host_id: str,
        credential: Callable[[], str],
        authority: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """*credential* reads it from where it is kept."""
        self.url = url
        self._host = f"{PREFIX}/hosts/{host_id}"
        self._http = http_client(url, authority, KeptCredential(credential), transport)

    def close(self) -> None:
        self._http.close()

    def put_facts(self, facts: HostFacts) -> None:
        self._put("facts", msgspec.json.encode(facts))

    def try_facts(self, facts: HostFacts) -> None:
        """Ask whether these would be taken; an older controller does not know, and is not asked."""
        with suppress(NotFound), _answers():
            answer = self._http.post(
                f"{self._host}/facts/trial",
                content=msgspec.json.encode(facts),
                headers={"Content-Type": "application/json"},
            )
            _checked(answer)

    def put_state(self, state: HostState) -> None:
        self._put("state", msgspec.json.encode(state))

    def put_health(self, health: HostHealth) -> None:
        self._put("health", msgspec.json.encode(health))

    def put_vfs(self, vfs: HostVfs) -> None:
        self._put("vfs", msgspec.json.encode(vfs))

    def put_console(self, server_id: str, tail: bytes) -> None:
        self._put(f"consoles/{server_id}", tail, "text/plain; charset=utf-8")

    def desired(self, after: str, wait_s: int) -> Desired | None:
        """Wait up to *wait_s* for a state other than *after* (``G.MARK``); None: none came."""
        query = {"after": after, "wait": str(wait_s)} if after else {"wait": str(wait_s)}
        timeout = httpx.Timeout(wait_s + _POLL_MARGIN_S, connect=5.0)
        with _answers():
            answer = self._http.get(f"{self._host}/desired", params=query, timeout=timeout)
        if answer.status_code == HTTPStatus.NOT_MODIFIED:
            return None
        desired: Desired = _decoded(answer, Desired)
        return desired

    def next_credential(self) -> str:
        """Ask for the credential that is to follow the present one."""
        with _answers():
            answer = self._http.post(f"{self._host}/credential")
        credential: Credential = _decoded(answer, Credential)
        return credential.credential

    @contextmanager
    def image(self, image_id: str) -> Iterator[Iterator[bytes]]:
        """Open the bytes of an image, as they come."""
        with _answers(), self._http.stream("GET", f"{self._host}/images/{image_id}") as answer:
            if answer.is_error:
                answer.read()
            _checked(answer)
            yield answer.iter_bytes(_CHUNK_BYTES)

    def _put(self, what: str, body: bytes, content_type: str = "application/json") -> None:
        with _answers():
            answer = self._http.put(
                f"{self._host}/{what}", content=body, headers={"Content-Type": content_type}
            )
        _checked(answer)


def http_client(
    url: str,
    authority: str | None,
    auth: httpx.Auth | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Connect to *url*; with *authority*, a CA as PEM, only to a controller that it vouches for."""
    verify = False if authority is None else ssl.create_default_context(cadata=authority)
    return httpx.Client(
        base_url=url.rstrip("/"),
        headers={HEADER: str(VERSION)},
        auth=auth,
        timeout=_TIMEOUT,
        verify=verify,
        transport=transport,
        trust_env=False,  # a proxy for the internet is not the way to the controller
    )


def fetch_authority(http: httpx.Client) -> str:
    """Read the controller's CA certificate, PEM; nothing vouches for it but its fingerprint."""
    with _answers():
        answer = http.get(f"{PREFIX}/authority")
    _checked(answer)
    return answer.text


def post_enrolment(http: httpx.Client, enrolment: Enrolment) -> str:
    """Exchange the one-time token for this host's credential. Raises as ``Client`` does."""
    with _answers():
        answer = http.post(
            f"{PREFIX}/enrolments",
            content=msgspec.json.encode(enrolment),
            headers={"Content-Type": "application/json"},
        )
    credential: Credential = _decoded(answer, Credential)
    return credential.credential


@contextmanager
def _answers() -> Iterator[None]:
    """Turn what goes wrong on the wire into Unavailable."""
    try:
        yield
    except httpx.HTTPError as error:
        raise no_answer("the controller", error) from error


def _checked(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    said, code = _said(answer)
    refusal = _REFUSALS.get(answer.status_code)
    if refusal is None:
        refusal = Unavailable if answer.is_server_error else Invalid
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        refusal = Unavailable
    raise refusal(f"{REFUSED} {answer.status_code}: {said}", code=code)


def _said(answer: httpx.Response) -> tuple[str, str]:
    """The fault's sentence and code; what is no fault of the controller's as it is, shortened."""
    try:
        fault = answer.json()["error"]
        text, code = str(fault["message"]), str(fault["code"])
    except (ValueError, KeyError, TypeError):
        text, code = answer.text, ""
    return " ".join(text[:_SAID_MAX].split()), code


def _decoded(answer: httpx.Response, kind: type[Any]) -> Any:
    _checked(answer)
    try:
        return typed.decode(answer.content, kind)
    except msgspec.MsgspecError as error:
        raise HostFault(f"the controller's answer is no {kind.__name__}: {error}") from error
