"""Logging in, and tokens."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from lanekeeper.api.identity.catalog import catalog
from lanekeeper.api.identity.field import Id, Name, Secret, moment
from lanekeeper.api.row import ANYONE, Call, Policy, Reply, Row, Strict
from lanekeeper.control.identity import login, token
from lanekeeper.domain.errors import Invalid, NotOffered, Unauthenticated
from lanekeeper.domain.identity.project import DOMAIN_ID, DOMAIN_NAME
from lanekeeper.domain.identity.role import ScopeKind
from lanekeeper.domain.identity.token import Token

DOMAIN = {"id": DOMAIN_ID, "name": DOMAIN_NAME}

# What a client sends -----------------------------------------------------------------------------


class DomainRef(Strict, frozen=True):
    id: Id | None = None
    name: Name | None = None


class UserRef(Strict, frozen=True):
    id: Id | None = None
    name: Name | None = None
    domain: DomainRef | None = None


class PasswordUser(UserRef, frozen=True, kw_only=True):
    password: Annotated[str, Meta(max_length=1024)]


class ByPassword(Strict, frozen=True):
    user: PasswordUser


class ByToken(Strict, frozen=True):
    id: Annotated[str, Meta(max_length=4096)]


class ByCredential(Strict, frozen=True):
    secret: Secret
    id: Id | None = None
    name: Name | None = None
    user: UserRef | None = None


class Proofs(Strict, frozen=True):
    methods: Annotated[list[str], Meta(min_length=1, max_length=3)]
    password: ByPassword | None = None
    token: ByToken | None = None
    application_credential: ByCredential | None = None


class ProjectRef(Strict, frozen=True):
    id: Id | None = None
    name: Name | None = None
    domain: DomainRef | None = None


class SystemRef(Strict, frozen=True):
    all: Literal[True]


class ScopeRef(Strict, frozen=True):
    project: ProjectRef | None = None
    domain: DomainRef | None = None
    system: SystemRef | None = None
    unscoped: dict[str, Any] | UnsetType = UNSET
    trust: dict[str, Any] | UnsetType = field(default=UNSET, name="OS-TRUST:trust")


class Auth(Strict, frozen=True):
    identity: Proofs
    scope: ScopeRef | Literal["unscoped"] | None = None


class AuthBody(Strict, frozen=True):
    auth: Auth


# What it gets ------------------------------------------------------------------------------------


def log_in(call: Call[AuthBody]) -> Reply:
    """Exchange credentials for a token."""
    identity = call.body.auth.identity
    methods = {name: _method(identity, name) for name in identity.methods}
    wanted = _wanted(call.body.auth.scope)
    text, made = login.log_in(call.site, login.Login(methods=methods, wanted=wanted))
    return _answer(call, text, made, HTTPStatus.CREATED)


def show_token(call: Call[None]) -> Reply:
    """Validate a token and show what it says."""
    subject = _subject(call)
    found = token.validate_token(call.site, call.caller, call.token, subject)
    return _answer(call, subject, found, HTTPStatus.OK)


def revoke_token(call: Call[None]) -> None:
    """Revoke a token."""
    token.revoke_token(call.site, call.caller, _subject(call))


def _subject(call: Call[None]) -> str:
    subject = call.headers.get("x-subject-token", "")
    if not subject:
        raise Invalid("the header X-Subject-Token is missing; it carries the token in question")
    return subject


def _answer(call: Call[Any], text: str, shown: Token, status: HTTPStatus) -> Reply:
    body = token_body(shown)
    if shown.claims.scope is not ScopeKind.NONE and call.asked("nocatalog") is None:
        body["catalog"] = catalog(call.base_url, call.site.config.lanekeeper.region)
    headers = {"X-Subject-Token": text, "Vary": "X-Auth-Token"}
    return Reply(body={"token": body}, status=status, headers=headers)


def token_body(shown: Token) -> dict[str, Any]:
    """A token as Keystone shows it, without the catalog."""
    claims = shown.claims
    body: dict[str, Any] = {
        "methods": list(claims.methods),
        "user": {
            "id": shown.user.id,
            "name": shown.user.name,
            "domain": DOMAIN,
            "password_expires_at": None,
        },
        "audit_ids": list(claims.audit_ids),
        "issued_at": moment(claims.issued_at),
        "expires_at": moment(claims.expires_at),
    }
    if claims.scope is not ScopeKind.NONE:
        body["roles"] = [{"id": role.id, "name": role.name} for role in shown.roles]
    if shown.project is not None:
        body["project"] = {
            "id": shown.project.id,
            "name": shown.project.name,
            "domain": DOMAIN,
        }
        body["is_domain"] = False
    elif claims.scope is ScopeKind.DOMAIN:
        body["domain"] = DOMAIN
    elif claims.scope is ScopeKind.SYSTEM:
        body["system"] = {"all": True}
    if claims.credential_id:
        body["application_credential"] = {"id": claims.credential_id}
    return body


# In between ---------------------------------------------------------------------------------------


def _method(identity: Proofs, name: str) -> login.Method:
    if name == "password" and identity.password is not None:
        user = identity.password.user
        return login.ByPassword(user=_user(user), password=user.password)
    if name == "token" and identity.token is not None:
        return login.ByToken(text=identity.token.id)
    proof = identity.application_credential
    if name == "application_credential" and proof is not None:
        return login.ByCredential(
            secret=proof.secret,
            id=proof.id,
            name=proof.name,
            user=_user(proof.user) if proof.user else None,
        )
    if name in {"password", "token", "application_credential"}:
        raise Invalid(f"Invalid input for auth.identity: the method {name} has no {name!r} object")
    raise Unauthenticated(
        token.REFUSED,
        hint="methods here: password, token, application_credential",
    )


def _user(ref: UserRef) -> login.Named:
    return _named(ref.id, ref.name, ref.domain)


def _named(id_: str | None, name: str | None, domain: DomainRef | None) -> login.Named:
    return login.Named(
        id=id_,
        name=name,
        domain_id=domain.id if domain else None,
        domain_name=domain.name if domain else None,
    )


def _wanted(scope: ScopeRef | str | None) -> login.Wanted:
    if scope is None:
        return login.Wanted()
    if not isinstance(scope, ScopeRef):
        return login.Wanted(kind=ScopeKind.NONE)
    if scope.trust is not UNSET:
        raise NotOffered("trusts are not offered", hint="use an application credential")
    asked = [
        _project_wanted(scope.project),
        _domain_wanted(scope.domain),
        login.Wanted(kind=ScopeKind.SYSTEM) if scope.system else None,
        login.Wanted(kind=ScopeKind.NONE) if scope.unscoped is not UNSET else None,
    ]
    found = [one for one in asked if one is not None]
    if len(found) != 1:
        raise Invalid(
            "Invalid input for auth.scope: exactly one of project, domain, system and unscoped "
            f"may be asked for, not {len(found)}"
        )
    return found[0]


def _project_wanted(ref: ProjectRef | None) -> login.Wanted | None:
    if ref is None:
        return None
    return login.Wanted(kind=ScopeKind.PROJECT, target=_named(ref.id, ref.name, ref.domain))


def _domain_wanted(ref: DomainRef | None) -> login.Wanted | None:
    if ref is None:
        return None
    return login.Wanted(kind=ScopeKind.DOMAIN, target=_named(ref.id, ref.name, None))


ROWS = (
    Row(
        method="POST",
        path="/v3/auth/tokens",
        handler=log_in,
        accepts=AuthBody,
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="GET",
        path="/v3/auth/tokens",
        handler=show_token,
        policy=Policy("identity:validate_token", ANYONE),
    ),
    Row(
        method="DELETE",
        path="/v3/auth/tokens",
        handler=revoke_token,
        policy=Policy("identity:revoke_token", ANYONE),
        status=HTTPStatus.NO_CONTENT,
    ),
)
