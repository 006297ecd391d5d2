"""Letting a host in: a one-time token becomes a credential that is bound to that host."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Collection
from datetime import timedelta

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.authority import open_authority
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, Unauthenticated
from lanekeeper.store.host.desired import desired_touch, host_lock
from lanekeeper.store.host.host import (
    HostRecord,
    enrolment_use,
    enrolments_insert,
    host_by_credential,
    host_by_name,
    host_credential_next,
    host_credential_promote,
    host_credential_set,
    host_get,
    host_insert,
)
from lanekeeper.store.placement.namesake import client_provider_named
from lanekeeper.store.tables import host

TOKEN_LIFE = timedelta(hours=1)
# RFC 1123 host names; they become parts of providers' names and of file names.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?", re.ASCII)


def create_token(site: Site, host_name: str = "") -> str:
    """Make a one-time token ``lk1.<SHA-256 of the CA's DER, hexadecimal>.<secret>``.

    With *host_name* only that host can use it. It is good for an hour and kept as a hash.

    Raises:
        Invalid: *host_name* is not a host name.
    """
    return create_tokens(site, [host_name])[host_name]


def create_tokens(site: Site, host_names: Collection[str]) -> dict[str, str]:
    """Make a token for each of many hosts, by name, in one transaction.

    Raises:
        Invalid: one is not a host name; none has a token then.
    """
    for name in filter(None, host_names):
        check_host_name(name)
    fingerprint, expires_at = open_authority(site).fingerprint, site.clock() + TOKEN_LIFE
    tokens = {name: f"lk1.{fingerprint}.{secrets.token_urlsafe(24)}" for name in host_names}
    hashes = {_hash(token): name for name, token in tokens.items()}
    site.database.write(lambda c: enrolments_insert(c, hashes, expires_at))
    return tokens


def enrol(site: Site, token: str, host_id: str, host_name: str) -> str:
    """Spend *token* and return the host's credential; a host that comes again gets a new one.

    Raises:
        Invalid: *host_id* is not a UUID, or *host_name* not a host name.
        Unauthenticated: the token is unknown, used, expired, or another host's; or the host is
            known and the token was not made for its name.
        Conflict: another host already has that name, or this host has another one; or a client's
            resource provider is called so, which may stand for the same machine.
    """
    check_host_name(host_name)
    host_id = _canonical(host_id)
    credential = secrets.token_urlsafe(32)
    now = site.clock()

    def work(connection: sa.Connection) -> None:
        bound_to = enrolment_use(connection, _hash(token), host_id, host_name, now)
        if bound_to is None:
            raise Unauthenticated(
                "the enrolment token is unknown, spent, expired or for another host",
                hint="make a new one with: lanekeeper agent token",
            )
        _check_name(connection, host_id, host_name)
        known = connection.scalar(sa.select(host.c.id).where(host.c.id == host_id)) is not None
        if not known:
            _check_provider(connection, host_name)
            host_insert(connection, host_id, host_name, _hash(credential), now)
            desired_touch(connection, host_id)
        elif bound_to:
            host_credential_set(connection, host_id, _hash(credential))
        else:
            raise Unauthenticated(
                f"host {host_name} is known, and this token was not made for it",
                hint=f"make one with: lanekeeper agent token --host-name {host_name}",
            )

    site.database.write(work)
    return credential


def _check_name(connection: sa.Connection, host_id: str, host_name: str) -> None:
    """Make sure that no host takes another one's place by its name or by its id."""
    namesake = host_by_name(connection, host_name)
    if namesake is not None and namesake.id != host_id:
        raise Conflict(
            f"host name {host_name} belongs to {namesake.id}",
            hint="keep that host's state directory, or give this host another name",
        )
    name = connection.scalar(sa.select(host.c.name).where(host.c.id == host_id))
    if name not in (None, host_name):
        raise Conflict(
            f"host_id {host_id} belongs to a host with another name than {host_name}",
            hint="enrol the host under the name that it had, or give it a new state directory",
        )


def _check_provider(connection: sa.Connection, host_name: str) -> None:
    """Make sure that nobody else offers what may be this very machine: it would be sold twice."""
    theirs = client_provider_named(connection, host_name)
    if theirs is not None:
        raise Conflict(
            f"resource provider {theirs} of Placement is called {host_name} and is not Lanekeeper's"
            ": if it stands for this machine, what the machine has would be given away twice",
            hint=f"openstack resource provider delete {theirs}, once nothing is allocated from it; "
            f"or, if it is something else: openstack resource provider set --name OTHER {theirs}",
        )


def authenticate_host(site: Site, credential: str, request_id: str) -> Caller:
    """The host whose agent asks, as a caller with the role ``agent`` and the host's id.

    Raises:
        Unauthenticated: no host has this credential.
    """
    with site.database.read() as connection:
        found = host_by_credential(connection, _hash(credential)) if credential else None
    if found is None:
        raise Unauthenticated(
            "no host has this credential",
            hint="enrol the host again with: lanekeeper agent enroll",
        )
    record, is_next = found
    if is_next:  # its agent has it, so the one before is of no use any more
        site.database.write(
            lambda connection: host_credential_promote(connection, record.id, _hash(credential))
        )
    return agent_caller(record, request_id)


def rotate_credential(site: Site, host_id: str) -> str:
    """Make the host's next credential; the present one is good until the next was used.

    Asked again before that, the last answer counts.
    """
    credential = secrets.token_urlsafe(32)
    site.database.write(
        lambda connection: host_credential_next(connection, host_id, _hash(credential))
    )
    return credential


def revoke_credential(site: Site, host_id: str) -> str:
    """Let a host's agent in no more; returns the host's name. Its guests run on.

    Raises:
        NotFound: no such host.
    """

    def work(connection: sa.Connection) -> str:
        host_lock(connection, host_id)
        name = host_get(connection, host_id).name
        host_credential_set(connection, host_id, "")
        return name

    name = site.database.write(work)
    site.bells.ring(host_id)
    return name


def agent_caller(found: HostRecord, request_id: str) -> Caller:
    return Caller(
        user_id=found.id,
        user_name=found.name,
        roles=frozenset({"agent"}),
        request_id=request_id,
    )


def check_host_name(name: str) -> None:
    """Refuse what is not a host name.

    Raises:
        Invalid: it is not; the message says what is.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"host name {name[:60]!r} is not one: letters, digits, '.', '_' and '-', at most 254"
        )


def _canonical(host_id: str) -> str:
    try:
        return str(uuid.UUID(host_id))
    except ValueError as error:
        raise Invalid(f"host_id {host_id[:60]!r} is not a UUID") from error


def _hash(secret: str) -> str:
    """Secrets of 24 random bytes and more need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
