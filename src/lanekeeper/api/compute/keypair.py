"""Key pairs over HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from lanekeeper.api.compute.value import at_least, bare_stamp, limit_of, next_link, only
from lanekeeper.api.row import READER, Call, Policy, Reply, Row, Strict
from lanekeeper.control.compute import keypair as control
from lanekeeper.control.compute.keypair import owner_of
from lanekeeper.domain.compute.keypair import KeyPair
from lanekeeper.domain.errors import Invalid, NotOffered

_LIST = Policy("os_compute_api:os-keypairs:index", READER)
_SHOW = Policy("os_compute_api:os-keypairs:show", READER)
_CREATE = Policy("os_compute_api:os-keypairs:create", READER)
_DELETE = Policy("os_compute_api:os-keypairs:delete", READER)


class Asked(Strict, frozen=True):
    name: str
    public_key: str | None = None


class Asked22(Asked, frozen=True):
    type: Literal["ssh", "x509"] = "ssh"


class Asked210(Asked22, frozen=True):
    user_id: str | None = None


class Create(Strict, frozen=True):
    keypair: Asked


class Create22(Strict, frozen=True):
    keypair: Asked22


class Create210(Strict, frozen=True):
    keypair: Asked210


def _view(call: Call[Any], key: KeyPair) -> dict[str, object]:
    body: dict[str, object] = {
        "name": key.name,
        "public_key": key.public_key,
        "fingerprint": key.fingerprint,
    }
    return body | ({"type": key.type} if at_least(call, "2.2") else {})


def _owner(call: Call[Any]) -> str:
    return owner_of(call.caller, call.asked("user_id") if at_least(call, "2.10") else None)


def index(call: Call[None]) -> dict[str, object]:
    """List key pairs."""
    only(call, {"user_id", "limit", "marker"})
    keys = list(control.list_keypairs(call.site, _owner(call)))
    if not at_least(call, "2.35"):
        return {"keypairs": [{"keypair": _view(call, key)} for key in keys]}
    names = [key.name for key in keys]
    marker, start = call.asked("marker"), 0
    if marker is not None:
        if marker not in names:
            raise Invalid(f"marker [{marker[:80]}] not found")
        start = names.index(marker) + 1
    limit = limit_of(call)
    page = keys[start : start + limit]
    body: dict[str, object] = {"keypairs": [{"keypair": _view(call, key)} for key in page]}
    if page and start + limit < len(keys):
        body["keypairs_links"] = next_link(call, "os-keypairs", page[-1].name)
    return body


def show(call: Call[None]) -> dict[str, object]:
    """Show one key pair."""
    key = control.show_keypair(call.site, _owner(call), call.path["name"])
    more = {
        "id": key.number,
        "user_id": key.user_id,
        "deleted": False,
        "deleted_at": None,
        "created_at": bare_stamp(key.created_at),
        "updated_at": None,
    }
    return {"keypair": _view(call, key) | more}


def create(call: Call[Create | Create22 | Create210]) -> Reply:
    """Import a public key, or make a pair."""
    asked = call.body.keypair
    name = control.check_name(asked.name, wide=at_least(call, "2.92"))
    if getattr(asked, "type", "ssh") == "x509":
        raise NotOffered("keypair type x509 is not offered", hint="use type ssh")
    user_id = owner_of(call.caller, getattr(asked, "user_id", None))
    secret: dict[str, object] = {}
    if asked.public_key:
        key = control.import_keypair(call.site, user_id, name, asked.public_key)
    elif at_least(call, "2.92"):
        raise Invalid("Object missing required field `public_key`", hint="make one: ssh-keygen")
    else:
        key, private = control.generate_keypair(call.site, user_id, name)
        secret = {"private_key": private}
    status = HTTPStatus.CREATED if at_least(call, "2.2") else HTTPStatus.OK
    return Reply(
        body={"keypair": _view(call, key) | {"user_id": key.user_id} | secret}, status=status
    )


def delete(call: Call[None]) -> Reply:
    """Forget a key pair."""
    control.delete_keypair(call.site, _owner(call), call.path["name"])
    return Reply(status=HTTPStatus.NO_CONTENT if at_least(call, "2.2") else HTTPStatus.ACCEPTED)


_ALL = "/v2.1/os-keypairs"

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_ALL, handler=index, policy=_LIST),
    Row(method="POST", path=_ALL, handler=create, policy=_CREATE, accepts=Create, until="2.1"),
    Row(
        method="POST",
        path=_ALL,
        handler=create,
        policy=_CREATE,
        accepts=Create22,
        since="2.2",
        until="2.9",
    ),
    Row(method="POST", path=_ALL, handler=create, policy=_CREATE, accepts=Create210, since="2.10"),
    Row(method="GET", path=_ALL + "/{name}", handler=show, policy=_SHOW),
    Row(method="DELETE", path=_ALL + "/{name}", handler=delete, policy=_DELETE),
)
