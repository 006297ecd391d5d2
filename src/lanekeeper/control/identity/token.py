"""Tokens: issued, validated at each use, revoked.

A token is valid as long as it has not expired, nobody revoked it, its user and project exist and
are enabled, the password is the one it was issued under, and the user still has a role in its
scope. All of that is looked up; the token itself carries ids only.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec
import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.token_memory import KEYS_AGE_S_MAX, new_key
from lanekeeper.control.site import Site
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from lanekeeper.domain.identity.project import DOMAIN_ID, Project
from lanekeeper.domain.identity.role import ADMIN, SERVICE, Role, Scope, ScopeKind, with_implied
from lanekeeper.domain.identity.token import Claims, Token, microseconds
from lanekeeper.domain.identity.user import ApplicationCredential, User
from lanekeeper.store.identity.project import project_get
from lanekeeper.store.identity.role import assignment_list, role_list
from lanekeeper.store.identity.token import (
    revocation_add,
    revocation_forget,
    revocation_has,
    token_key_add,
    token_key_delete,
    token_key_list,
)
from lanekeeper.store.identity.user import credential_get, user_get

REFUSED = "The request you have made requires authentication."
"""Keystone's sentence for every login and every token that fails, whatever the reason."""

# Python's base64 skips what is not of its alphabet; a token has one spelling.
_TEXT = re.compile(r"[A-Za-z0-9_-]{1,2048}", re.ASCII)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(typed.learnt(Claims))  # noqa: TID251 - learnt before


def authenticate_token(site: Site, text: str, request_id: str) -> Caller:
    """Who sends *text*; believed for at most a second before the database is asked again.

    Raises:
        Unauthenticated: it is no valid token.
    """
    memory = site.token_memory
    caller = memory.recall(text, site.clock())
    if caller is None:
        seen_s = memory.now_s()
        token = show_token(site, text)
        caller = caller_of(token)
        memory.remember(text, seen_s, token.claims.expires_at, caller)
    return replace(caller, request_id=request_id)


def show_token(site: Site, text: str) -> Token:
    """What *text* says, looked up now.

    Raises:
        Unauthenticated: it is no valid token.
    """
    claims = _open(site, text)
    with site.database.read() as connection:
        return read_token(connection, claims)


def validate_token(site: Site, caller: Caller, own: str, subject: str) -> Token:
    """What *subject* says, for the services that ask and for whoever holds it.

    Raises:
        Forbidden: it is somebody else's and the caller is neither an admin nor a service.
        NotFound: it is no valid token.
    """
    try:
        token = show_token(site, subject)
    except Unauthenticated as error:
        raise NotFound("Could not find token: it has expired, was revoked or never was") from error
    if subject != own and not caller.roles & {ADMIN, SERVICE}:
        raise Forbidden("only an admin or a service may look at somebody else's token")
    return token


def revoke_token(site: Site, caller: Caller, subject: str) -> None:
    """Make *subject* void, here at once and on every controller within a second.

    Raises:
        Forbidden: it is somebody else's and the caller is no admin.
        NotFound: it is no valid token.
    """
    try:
        claims = show_token(site, subject).claims
    except Unauthenticated as error:
        raise NotFound("Could not find token: it has expired, was revoked or never was") from error
    if claims.user_id != caller.user_id and not caller.is_admin:
        raise Forbidden("only an admin may revoke somebody else's token")

    def work(connection: sa.Connection) -> None:
        revocation_forget(connection, site.clock())
        revocation_add(connection, claims.audit_id, claims.expires_at)

    try:
        site.database.write(work)
    except sa.exc.IntegrityError:
        pass  # another request revoked it at this moment; that is what was wanted
    finally:
        site.token_memory.forget()


# Made and read ------------------------------------------------------------------------------------


def seal_token(site: Site, claims: Claims) -> str:
    """The text that clients carry."""
    return site.token_memory.seal(_ENCODER.encode(claims), lambda: token_keys(site))


def new_claims(
    site: Site,
    user_id: str,
    methods: Sequence[str],
    scope: Scope,
    *,
    parent: Claims | None = None,
    credential: ApplicationCredential | None = None,
) -> Claims:
    """Claims of a token issued now; one made from *parent* lives no longer than that."""
    now = site.clock()
    expires_at = now + timedelta(seconds=site.config.lanekeeper.token_expiration_s)
    if parent is not None:
        expires_at = min(expires_at, parent.expires_at)
    if credential is not None and credential.expires_at is not None:
        expires_at = min(expires_at, credential.expires_at)
    audit_id = uuid.uuid4().hex
    return Claims(
        user_id=user_id,
        methods=tuple(methods),
        scope=scope.kind,
        target_id=scope.target_id,
        issued_us=microseconds(now),
        expires_us=microseconds(expires_at),
        audit_ids=(audit_id, parent.audit_ids[-1]) if parent else (audit_id,),
        credential_id=credential.id if credential else "",
    )


def read_token(connection: sa.Connection, claims: Claims) -> Token:
    """Look up what *claims* mean now; whether they have expired is the caller's to check.

    Raises:
        Unauthenticated: something that they rest on has gone.
    """
    user = _user(connection, claims)
    credential = _credential(connection, claims)
    scope = claims.where
    project = _project(connection, scope)
    roles = scope_roles(connection, user.id, scope)
    if credential is not None:
        allowed = with_implied(credential.roles)
        roles = tuple(role for role in roles if role.name.lower() in allowed)
    if scope.kind is not ScopeKind.NONE and not roles:
        raise Unauthenticated(
            REFUSED, hint="the user has no role in the scope asked for, or it does not exist"
        )
    return Token(claims=claims, user=user, project=project, roles=roles)


def caller_of(token: Token) -> Caller:
    scope = token.claims.where
    return Caller(
        user_id=token.user.id,
        user_name=token.user.name,
        project_id=token.project.id if token.project else None,
        project_name=token.project.name if token.project else None,
        domain_id=scope.target_id if scope.kind is ScopeKind.DOMAIN else None,
        roles=frozenset(role.name.lower() for role in token.roles),
        system=scope.kind is ScopeKind.SYSTEM,
        audit_id=token.claims.audit_id,
    )


def scope_roles(connection: sa.Connection, user_id: str, scope: Scope) -> tuple[Role, ...]:
    """The roles that a user has in *scope*, implied ones included, by name."""
    if scope.kind is ScopeKind.NONE:
        return ()
    given = assignment_list(connection, user_id=user_id, kind=scope.kind, target_id=scope.target_id)
    if not given:
        return ()
    every = role_list(connection)
    ids = {one.role_id for one in given}
    names = with_implied(role.name for role in every if role.id in ids)
    return tuple(role for role in every if role.id in ids or role.name.lower() in names)


def _open(site: Site, text: str) -> Claims:
    if _TEXT.fullmatch(text) is None:
        raise Unauthenticated(REFUSED)
    payload = site.token_memory.unseal(text, lambda: token_keys(site))
    if payload is None:
        raise Unauthenticated(REFUSED)
    try:
        claims = _DECODER.decode(payload)
    except msgspec.MsgspecError as error:  # sealed by a release that wrote it otherwise
        raise Unauthenticated(REFUSED) from error
    if claims.expires_at <= site.clock():
        raise Unauthenticated(REFUSED)
    return claims


def _user(connection: sa.Connection, claims: Claims) -> User:
    user = user_get(connection, claims.user_id)
    if user is None or not user.enabled or revocation_has(connection, claims.audit_id):
        raise Unauthenticated(REFUSED)
    changed_at = user.password_changed_at
    if changed_at is not None and claims.issued_us < microseconds(changed_at):
        raise Unauthenticated(REFUSED)
    return user


def _credential(connection: sa.Connection, claims: Claims) -> ApplicationCredential | None:
    if not claims.credential_id:
        return None
    credential = credential_get(connection, claims.credential_id)
    if credential is None:
        raise Unauthenticated(REFUSED)
    return credential


def _project(connection: sa.Connection, scope: Scope) -> Project | None:
    if scope.kind is ScopeKind.DOMAIN and scope.target_id != DOMAIN_ID:
        raise Unauthenticated(REFUSED)
    if scope.kind is not ScopeKind.PROJECT:
        return None
    project = project_get(connection, scope.target_id)
    if project is None or not project.enabled:
        raise Unauthenticated(
            REFUSED, hint="the user has no role in the scope asked for, or it does not exist"
        )
    return project


# Keys ---------------------------------------------------------------------------------------------


def rotate_token_keys(site: Site) -> None:
    """Add a key that signs from now on; drop those whose tokens have all expired.

    Other controllers may sign with the one before it for another minute.
    """
    now = site.clock()
    age = timedelta(seconds=site.config.lanekeeper.token_expiration_s + 2 * KEYS_AGE_S_MAX)
    key = new_key()

    def work(connection: sa.Connection) -> None:
        kept = token_key_list(connection)
        # A key signs until the next one is made.
        old = [
            number
            for (number, _, _), (_, _, replaced_at) in zip(kept[1:], kept, strict=False)
            if replaced_at + age <= now
        ]
        token_key_add(connection, max((number for number, _, _ in kept), default=0) + 1, key, now)
        token_key_delete(connection, old)

    try:
        site.database.write(work)
    except sa.exc.IntegrityError:
        pass  # another controller rotated at this moment; once is enough
    finally:
        site.token_memory.forget_keys()


def token_keys(site: Site) -> list[str]:
    """The keys that seal tokens, newest first; raises Unavailable before there are any."""
    with site.database.read() as connection:
        keys = [key for _, key, _ in token_key_list(connection)]
    if not keys:
        raise Unavailable("the installation has no token keys yet; it is still being set up")
    return keys
