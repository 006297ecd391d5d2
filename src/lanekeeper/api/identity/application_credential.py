"""Application credentials."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from msgspec import Meta

from lanekeeper.api.identity.field import Id, Name, Secret, Text, moment, read_moment
from lanekeeper.api.identity.page import one_page
from lanekeeper.api.row import ANYONE, Call, Policy, Row, Strict
from lanekeeper.control.identity import application_credential as use
from lanekeeper.control.identity import role
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.identity.user import ApplicationCredential


class RoleRef(Strict, frozen=True):
    id: Id | None = None
    name: Name | None = None


class NewCredential(Strict, frozen=True):
    name: Name
    secret: Secret | None = None
    description: Text | None = None
    expires_at: Text | None = None
    roles: Annotated[list[RoleRef], Meta(max_length=100)] | None = None
    unrestricted: bool | None = None
    access_rules: Annotated[list[Any], Meta(max_length=0)] | None = None


class NewCredentialBody(Strict, frozen=True):
    application_credential: NewCredential


def create_credential(call: Call[NewCredentialBody]) -> dict[str, object]:
    """Create an application credential; its secret is shown this once."""
    new = call.body.application_credential
    made, secret = use.create_credential(
        call.site,
        call.caller,
        call.token,
        call.path["user"],
        use.NewCredential(
            name=new.name,
            secret=new.secret,
            description=new.description or "",
            roles=tuple(_word(ref) for ref in new.roles or ()),
            unrestricted=bool(new.unrestricted),
            expires_at=read_moment("expires_at", new.expires_at) if new.expires_at else None,
        ),
    )
    return {"application_credential": {**_body(call, made, _ids(call)), "secret": secret}}


def list_credentials(call: Call[None]) -> dict[str, object]:
    """List a user's application credentials."""
    user_id = call.path["user"]
    found = use.list_credentials(call.site, call.caller, user_id, call.asked("name"))
    ids = _ids(call)
    return {
        "application_credentials": [_body(call, one, ids) for one in found],
        "links": one_page(call, f"/v3/users/{user_id}/application_credentials"),
    }


def show_credential(call: Call[None]) -> dict[str, object]:
    """Show an application credential without its secret."""
    found = use.show_credential(call.site, call.caller, call.path["user"], call.path["credential"])
    return {"application_credential": _body(call, found, _ids(call))}


def delete_credential(call: Call[None]) -> None:
    """Delete an application credential; its tokens are void."""
    use.delete_credential(
        call.site, call.caller, call.token, call.path["user"], call.path["credential"]
    )


def _word(ref: RoleRef) -> str:
    word = ref.id or ref.name
    if word is None:
        raise Invalid("Invalid input for application_credential.roles: a role needs id or name")
    return word


def _ids(call: Call[Any]) -> dict[str, str]:
    return {one.name: one.id for one in role.list_roles(call.site)}


def _body(call: Call[Any], shown: ApplicationCredential, ids: dict[str, str]) -> dict[str, object]:
    path = f"/identity/v3/users/{shown.user_id}/application_credentials/{shown.id}"
    return {
        "id": shown.id,
        "name": shown.name,
        "description": shown.description or None,
        "user_id": shown.user_id,
        "project_id": shown.project_id,
        "roles": [
            {"id": ids[name], "name": name, "domain_id": None}
            for name in shown.roles
            if name in ids
        ],
        "unrestricted": shown.unrestricted,
        "expires_at": moment(shown.expires_at)[:-1] if shown.expires_at else None,
        "system": None,
        "links": {"self": call.base_url + path},
    }


_MANY = "/v3/users/{user}/application_credentials"
_ONE = _MANY + "/{credential}"

ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path=_MANY,
        handler=list_credentials,
        policy=Policy("identity:list_application_credentials", ANYONE),
    ),
    Row(
        method="POST",
        path=_MANY,
        handler=create_credential,
        accepts=NewCredentialBody,
        policy=Policy("identity:create_application_credential", ANYONE),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="GET",
        path=_ONE,
        handler=show_credential,
        policy=Policy("identity:get_application_credential", ANYONE),
    ),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete_credential,
        policy=Policy("identity:delete_application_credential", ANYONE),
        status=HTTPStatus.NO_CONTENT,
    ),
)
