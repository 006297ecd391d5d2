"""``/v2.0/quotas``: what projects may have of Network."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from lanekeeper.api.network.field import Flag, Maybe, Whole, flag, given, whole
from lanekeeper.api.network.listing import View
from lanekeeper.api.row import ADMIN, READER, Call, Policy, Row, Strict
from lanekeeper.control.network.quota import (
    change_quota,
    default_quotas,
    list_quotas,
    reset_quota,
    show_quota,
)
from lanekeeper.domain.network.quota import ABSENT, UNLIMITED, Resource

_NAMES = (*Resource, *ABSENT)


class QuotaChanges(Strict, frozen=True):
    """Limits to be set; *check_limit* is what is done anyway, unless *force* says otherwise."""

    network: Whole | Maybe = UNSET
    subnet: Whole | Maybe = UNSET
    port: Whole | Maybe = UNSET
    security_group: Whole | Maybe = UNSET
    security_group_rule: Whole | Maybe = UNSET
    rbac_policy: Whole | Maybe = UNSET
    router: Whole | Maybe = UNSET
    floatingip: Whole | Maybe = UNSET
    subnetpool: Whole | Maybe = UNSET
    trunk: Whole | Maybe = UNSET
    force: Flag = False
    check_limit: Flag = True


class ChangeQuota(Strict, frozen=True):
    quota: QuotaChanges


def list_(call: Call[None]) -> View:
    """List the projects that have limits of their own."""
    found = list_quotas(call.site, call.caller)
    return {
        "quotas": [
            {**_view(limits), "project_id": project_id, "tenant_id": project_id}
            for project_id, limits in found.items()
        ]
    }


def own(call: Call[None]) -> View:
    """Say whose quotas the caller's are; old shells ask it first."""
    return {"tenant": {"tenant_id": call.caller.project_id}}


def own_project(call: Call[None]) -> View:
    """Say whose quotas the caller's are."""
    return {"project": {"project_id": call.caller.project_id}}


def show(call: Call[None]) -> View:
    """Show the quotas of a project."""
    return {"quota": _view(show_quota(call.site, call.caller, call.path["project"]).limits)}


def default(call: Call[None]) -> View:
    """Show the quotas of a project that has none of its own."""
    return {"quota": _view(default_quotas(call.site))}


def details(call: Call[None]) -> View:
    """Show the quotas of a project and how much of them is used."""
    found = show_quota(call.site, call.caller, call.path["project"])
    used = {str(name): count for name, count in found.used.items()}
    return {
        "quota": {
            name: {"limit": limit, "used": used.get(name, 0), "reserved": 0}
            for name, limit in _view(found.limits).items()
        }
    }


def change(call: Call[ChangeQuota]) -> View:
    """Set limits of a project."""
    body = call.body.quota
    wanted = {name: whole(it, name) for name, it in given(body, *_NAMES).items()}
    force = flag(body.force, "force")
    flag(body.check_limit, "check_limit")
    changed = change_quota(call.site, call.path["project"], wanted, force=force)
    return {"quota": _view(changed.limits)}


def reset(call: Call[None]) -> None:
    """Have a project be held to the default quotas."""
    reset_quota(call.site, call.path["project"])


def _view(limits: Mapping[Resource, int]) -> View:
    by_name = {str(name): limit for name, limit in limits.items()}
    return {str(name): by_name.get(name, UNLIMITED) for name in _NAMES}


_READ = Policy("get_quota", READER)
_ONE = "/v2.0/quotas/{project}"
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/quotas", handler=list_, policy=_READ),
    Row(method="GET", path="/v2.0/quotas/tenant", handler=own, policy=_READ),
    Row(method="GET", path="/v2.0/quotas/project", handler=own_project, policy=_READ),
    Row(method="GET", path=_ONE, handler=show, policy=_READ),
    Row(method="GET", path=f"{_ONE}/default", handler=default, policy=_READ),
    Row(method="GET", path=f"{_ONE}/details", handler=details, policy=_READ),
    Row(
        method="PUT",
        path=_ONE,
        handler=change,
        accepts=ChangeQuota,
        policy=Policy("update_quota", ADMIN),
    ),
    Row(
        method="DELETE",
        path=_ONE,
        handler=reset,
        policy=Policy("delete_quota", ADMIN),
        status=HTTPStatus.NO_CONTENT,
    ),
)
