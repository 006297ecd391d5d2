"""How a host becomes a controller's: a one-time token for a lasting credential.

The token carries the fingerprint of the controller's CA, so the first word that is exchanged is
already checked: the CA is fetched unverified, compared, kept, and everything else is verified.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from lanekeeper.agent.client import Client, fetch_authority, http_client, post_enrolment
from lanekeeper.agent.state_dir import Enrolled, StateDir
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.protocol import Enrolment

_TOKEN = re.compile(r"lk1\.(?P<fingerprint>-|[0-9a-f]{64})\.(?P<secret>[A-Za-z0-9_-]{16,256})")


@dataclass(frozen=True, slots=True)
class Token:
    """``lk1.FINGERPRINT.SECRET``; the fingerprint is the SHA-256 of the CA's DER, or ``-``."""

    text: str
    fingerprint: str | None

    @classmethod
    def parse(cls, text: str) -> Token:
        """Raises Invalid without repeating the token, which is a secret."""
        found = _TOKEN.fullmatch(text.strip())
        if found is None:
            raise Invalid("the token is not of the form lk1.FINGERPRINT.SECRET; copy it whole")
        fingerprint = found["fingerprint"]
        return cls(text.strip(), None if fingerprint == "-" else fingerprint)


def enrol(
    state: StateDir,
    url: str,
    token_text: str,
    host_name: str,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Enrol this host with the controller at *url* and keep the credential.

    A refusal leaves an earlier enrolment as it was.

    Raises:
        Invalid: token or URL are wrong, or the CA is not the one that the token names.
        Unauthenticated: the token was used already, or has expired.
        Unavailable: the controller does not answer.
    """
    token = Token.parse(token_text)
    checked_url(url)
    authority = _authority(url, token, transport) if url.startswith("https:") else None
    enrolment = Enrolment(token=token.text, host_id=state.host_id(), host_name=host_name)
    with http_client(url, authority, transport=transport) as http:
        credential = post_enrolment(http, enrolment)
    state.enrol(Enrolled(controller=url, host_name=host_name), credential, authority)


def rotate(state: StateDir) -> None:
    """Exchange this host's credential for a new one; an agent that runs goes on with the new one.

    The old one is good until the new one was used, which is the last step here: killed anywhere,
    the one that is kept is good.

    Raises:
        Invalid: this host was never enrolled.
        Unauthenticated: its credential is not good any more; enrol it again.
        Unavailable: the controller does not answer.
    """
    with closing(client_of(state)) as client:
        fresh = client.next_credential()
    state.save_credential(fresh)
    with closing(client_of(state)) as client, suppress(Conflict):  # frozen: it was let in, too
        client.desired("", 0)


def client_of(state: StateDir, transport: httpx.BaseTransport | None = None) -> Client:
    """Connect to the controller that this host is enrolled with. Raises Invalid when it is not.

    *transport* is the way there, where it is not one of its own.
    """
    url = state.enrolled().controller
    authority = state.authority() if url.startswith("https:") else None
    return Client(url, state.host_id(), state.credential, authority, transport)


def checked_url(url: str) -> None:
    """Raises Invalid unless *url* is https, or http to this very machine."""
    try:
        parts = urlsplit(url)
        host, has_port = parts.hostname, parts.port != 0
    except ValueError:  # brackets, or a port beyond 65535
        host, has_port = None, False
    if not host or not has_port or parts.scheme not in ("http", "https"):
        raise Invalid(f"controller {url[:200]!r} is none: https is required, https://HOST:PORT")
    if parts.scheme == "http" and not is_loopback(host):
        raise Invalid(f"controller {url!r}: https is required (http only on loopback)")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _authority(url: str, token: Token, transport: httpx.BaseTransport | None) -> str:
    """Fetch the CA that the token names, as PEM."""
    if token.fingerprint is None:
        raise Invalid("the token names no CA, so it is good for http on loopback only")
    with http_client(url, None, transport=transport) as http:
        pem = fetch_authority(http)
    try:
        der = ssl.PEM_cert_to_DER_cert(pem.strip())
    except ValueError as error:
        raise Invalid(f"{url} does not answer with a CA certificate") from error
    if hashlib.sha256(der).hexdigest() != token.fingerprint:
        raise Conflict(
            f"the CA of {url} is not the one that the token names",
            hint="someone is in between, or the token is of another controller",
        )
    return ssl.DER_cert_to_PEM_cert(der)  # this one alone, whatever else was sent with it
