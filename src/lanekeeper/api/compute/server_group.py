"""Server groups over HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from lanekeeper.api.compute.value import at_least, integer, limit_of, name_value, only
from lanekeeper.api.row import ADMIN, MEMBER, READER, Call, Policy, Reply, Row, Strict
from lanekeeper.control.compute import server_group as control
from lanekeeper.domain.compute.server_group import GroupPolicy, ServerGroup
from lanekeeper.domain.errors import Invalid

_POLICY = "os_compute_api:os-server-groups:"
_LIST, _SHOW = Policy(_POLICY + "index", READER), Policy(_POLICY + "show", READER)
_EVERYBODY = Policy(_POLICY + "index:all_projects", ADMIN)
_CREATE, _DELETE = Policy(_POLICY + "create", MEMBER), Policy(_POLICY + "delete", MEMBER)

_Hard = Literal["affinity", "anti-affinity"]
_Any = Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]


class Asked(Strict, frozen=True):
    name: str
    policies: list[_Hard]


class Asked215(Strict, frozen=True):
    name: str
    policies: list[_Any]


class Rules(Strict, frozen=True):
    max_server_per_host: int | str | UnsetType = UNSET


class Asked264(Strict, frozen=True):
    name: str
    policy: _Any
    rules: Rules = Rules()


class Create(Strict, frozen=True):
    server_group: Asked


class Create215(Strict, frozen=True):
    server_group: Asked215


class Create264(Strict, frozen=True):
    server_group: Asked264


def _view(call: Call[Any], one: ServerGroup) -> dict[str, object]:
    body: dict[str, object] = {"id": one.id, "name": one.name, "members": list(one.members)}
    if at_least(call, "2.64"):
        rules = {} if one.max_per_host is None else {"max_server_per_host": one.max_per_host}
        body |= {"policy": one.policy, "rules": rules}
    else:
        body |= {"policies": [one.policy], "metadata": {}}
    if at_least(call, "2.13"):
        body |= {"project_id": one.project_id, "user_id": one.user_id}
    return body


def index(call: Call[None]) -> dict[str, object]:
    """List server groups."""
    only(call, {"all_projects", "limit", "offset"})
    everybody = call.asked("all_projects") is not None and call.caller.is_admin
    if everybody:
        call.demand(_EVERYBODY)
    start = integer(call.asked("offset") or 0, "offset")
    page = control.list_groups(call.site, call.caller, all_projects=everybody)[start:]
    return {"server_groups": [_view(call, one) for one in page[: limit_of(call)]]}


def show(call: Call[None]) -> dict[str, object]:
    """Show one server group."""
    only(call, (), since="2.102")
    return {
        "server_group": _view(call, control.show_group(call.site, call.caller, call.path["id"]))
    }


def create(call: Call[Create | Create215 | Create264]) -> dict[str, object]:
    """Make a server group."""
    asked, most = call.body.server_group, None
    name = name_value(asked.name)
    if isinstance(asked, Asked264):
        policy = GroupPolicy(asked.policy)
        count = asked.rules.max_server_per_host
        if not isinstance(count, UnsetType):
            most = integer(count, "max_server_per_host", least=1)
    else:
        if len(asked.policies) != 1:
            raise Invalid(f"policies: one policy is needed, not {len(asked.policies)}")
        policy = GroupPolicy(asked.policies[0])
    made = control.create_group(call.site, call.caller, name, policy, most)
    return {"server_group": _view(call, made)}


def delete(call: Call[None]) -> Reply:
    """Forget a server group; its servers stay."""
    control.delete_group(call.site, call.caller, call.path["id"])
    return Reply(status=HTTPStatus.NO_CONTENT)


_ALL = "/v2.1/os-server-groups"


def _creates(accepts: type[Any], since: str, until: str) -> Row[Any]:
    return Row(
        method="POST",
        path=_ALL,
        handler=create,
        policy=_CREATE,
        accepts=accepts,
        since=since,
        until=until,
    )


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_ALL, handler=index, policy=_LIST, asks=(_EVERYBODY,)),
    _creates(Create, "", "2.14"),
    _creates(Create215, "2.15", "2.63"),
    _creates(Create264, "2.64", ""),
    Row(method="GET", path=_ALL + "/{id}", handler=show, policy=_SHOW),
    Row(method="DELETE", path=_ALL + "/{id}", handler=delete, policy=_DELETE),
)
