"""Logging in: credentials for a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from lanekeeper.control.identity.password import check_password
from lanekeeper.control.identity.token import (
    REFUSED,
    new_claims,
    read_token,
    scope_roles,
    seal_token,
    show_token,
)
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Forbidden, Unauthenticated
from lanekeeper.domain.identity.project import DOMAIN_ID, is_domain
from lanekeeper.domain.identity.role import SYSTEM, Scope, ScopeKind
from lanekeeper.domain.identity.token import Claims, Token
from lanekeeper.domain.identity.user import ApplicationCredential, User
from lanekeeper.store.identity.project import project_get, project_named
from lanekeeper.store.identity.user import (
    credential_get,
    credential_list,
    credential_secret_hash,
    user_get,
    user_named,
    user_password_hash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A user or project as a client names it: by id, or by name in a domain."""

    id: str | None = None
    name: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None

    @property
    def in_domain(self) -> bool:
        return is_domain(domain_id=self.domain_id, name=self.domain_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPassword:
    user: Named
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByToken:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCredential:
    """Attributes:
    id: or *name* and *user* together.
    """

    secret: str = field(repr=False)
    id: str | None = None
    name: str | None = None
    user: Named | None = None


Method = ByPassword | ByToken | ByCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The scope that a client asks for.

    Attributes:
        kind: None when it says nothing, and the user's default project counts.
        target: of a project or domain.
    """

    kind: ScopeKind | None = None
    target: Named = Named()


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Attributes:
    methods: by Keystone's name of the method; all must be the same user's.
    """

    methods: Mapping[str, Method]
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class _Proof:
    user: User
    parent: Claims | None = None
    credential: ApplicationCredential | None = None


def log_in(site: Site, login: Login) -> tuple[str, Token]:
    """Check the credentials and issue a token: its text and what it says.

    Raises:
        Unauthenticated: anything is wrong; who lacks the password learns no more than that.
        Forbidden: an application credential is used for a scope that is not its own.
    """
    proofs = [_prove(site, method) for method in login.methods.values()]
    if len({proof.user.id for proof in proofs}) != 1:
        raise Unauthenticated(REFUSED)
    user = proofs[0].user
    parent = next((proof.parent for proof in proofs if proof.parent), None)
    credential = next((proof.credential for proof in proofs if proof.credential), None)
    with site.database.read() as connection:
        scope = _scope(connection, user, login.wanted, credential)
        names = [*login.methods, *(parent.methods if parent else ())]
        methods = dict.fromkeys(names)  # in order, each once
        claims = new_claims(
            site, user.id, tuple(methods), scope, parent=parent, credential=credential
        )
        token = read_token(connection, claims)
    if token.user.password_changed_at != user.password_changed_at:
        raise Unauthenticated(REFUSED)  # changed since it was checked: that one is the old one
    return seal_token(site, claims), token


# Who it is ----------------------------------------------------------------------------------------


def _prove(site: Site, method: Method) -> _Proof:
    if isinstance(method, ByPassword):
        return _by_password(site, method)
    if isinstance(method, ByToken):
        return _by_token(site, method)
    return _by_credential(site, method)


def _by_password(site: Site, method: ByPassword) -> _Proof:
    with site.database.read() as connection:
        user = _find_user(connection, method.user)
        kept = user_password_hash(connection, user.id) if user else ""
    # The hash is computed whether or not there is such a user: both answers take as long.
    right = check_password(method.password, kept)
    if user is None or not right or not user.enabled:
        raise Unauthenticated(REFUSED)
    return _Proof(user)


def _by_token(site: Site, method: ByToken) -> _Proof:
    token = show_token(site, method.text)
    if token.claims.credential_id:
        raise Forbidden("a token from an application credential cannot be given another scope")
    return _Proof(token.user, parent=token.claims)


def _by_credential(site: Site, method: ByCredential) -> _Proof:
    with site.database.read() as connection:
        found = _find_credential(connection, method)
        kept = credential_secret_hash(connection, found.id) if found else ""
        user = user_get(connection, found.user_id) if found else None
    right = check_password(method.secret, kept)
    if found is None or user is None or not right or not user.enabled:
        raise Unauthenticated(REFUSED)
    if found.expired(site.clock()):
        raise Unauthenticated(REFUSED, hint="the application credential has expired")
    return _Proof(user, credential=found)


def _find_user(connection: sa.Connection, named: Named) -> User | None:
    if named.id is not None:
        return user_get(connection, named.id)
    if named.name is None or not named.in_domain:
        return None
    return user_named(connection, named.name)


def _find_credential(
    connection: sa.Connection, method: ByCredential
) -> ApplicationCredential | None:
    if method.id is not None:
        return credential_get(connection, method.id)
    user = _find_user(connection, method.user) if method.user else None
    if user is None or method.name is None:
        return None
    return next(iter(credential_list(connection, user.id, method.name)), None)


# What for -----------------------------------------------------------------------------------------


def _scope(
    connection: sa.Connection,
    user: User,
    wanted: Wanted,
    credential: ApplicationCredential | None,
) -> Scope:
    if credential is not None:
        if wanted.kind is not None:
            raise Unauthenticated(
                REFUSED, hint="an application credential has its own project: ask for no scope"
            )
        return Scope(ScopeKind.PROJECT, credential.project_id)
    if wanted.kind is None:
        return _default_scope(connection, user)
    scope = _NAMED_SCOPE[wanted.kind](connection, wanted.target)
    if scope is None:
        raise Unauthenticated(
            REFUSED, hint="the user has no role in the scope asked for, or it does not exist"
        )
    return scope


def _default_scope(connection: sa.Connection, user: User) -> Scope:
    if user.default_project_id is None:
        return Scope()
    project = project_get(connection, user.default_project_id)
    scope = Scope(ScopeKind.PROJECT, user.default_project_id)
    usable = project is not None and project.enabled and scope_roles(connection, user.id, scope)
    return scope if usable else Scope()


def _project_scope(connection: sa.Connection, named: Named) -> Scope | None:
    if named.id is not None:
        return Scope(ScopeKind.PROJECT, named.id)
    if named.name is None or not named.in_domain:
        return None
    project = project_named(connection, named.name)
    return None if project is None else Scope(ScopeKind.PROJECT, project.id)


def _domain_scope(connection: sa.Connection, named: Named) -> Scope | None:
    del connection  # there is one domain, and it is no row
    there = is_domain(domain_id=named.id, name=named.name)
    return Scope(ScopeKind.DOMAIN, DOMAIN_ID) if there else None


_NAMED_SCOPE: Mapping[ScopeKind, Callable[[sa.Connection, Named], Scope | None]] = {
    ScopeKind.PROJECT: _project_scope,
    ScopeKind.DOMAIN: _domain_scope,
    ScopeKind.SYSTEM: lambda connection, named: SYSTEM,
    ScopeKind.NONE: lambda connection, named: Scope(),
}
