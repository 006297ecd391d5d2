"""``/v2.0/quotas``: readable, and unlimited."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.network.listing import View
from lanekeeper.api.row import ADMIN, READER, Call, Policy, Row
from lanekeeper.control.network.network import list_networks
from lanekeeper.control.network.port import list_ports
from lanekeeper.control.network.scope import missing, owns
from lanekeeper.control.network.security_group import list_security_groups
from lanekeeper.control.network.subnet import list_subnets
from lanekeeper.domain.errors import NotOffered

UNLIMITED = -1
_NAMES = (
    "network",
    "subnet",
    "port",
    "security_group",
    "security_group_rule",
    "router",
    "floatingip",
    "rbac_policy",
    "subnetpool",
    "trunk",
)


def list_(call: Call[None]) -> View:
    """List the projects whose quotas differ from the default ones: none."""
    return {"quotas": []}


def own(call: Call[None]) -> View:
    """Say whose quotas the caller's are; old shells ask it first."""
    return {"tenant": {"tenant_id": call.caller.project_id}}


def show(call: Call[None]) -> View:
    """Show the quotas of a project, or the default ones."""
    _check(call)
    return {"quota": dict.fromkeys(_NAMES, UNLIMITED)}


def details(call: Call[None]) -> View:
    """Show the quotas of a project and how much of them is used."""
    project_id = _check(call)
    mine = {"project_id": (project_id,)}
    groups = list_security_groups(call.site, call.caller, mine)
    used = {
        "network": len(list_networks(call.site, call.caller, mine)),
        "subnet": len(list_subnets(call.site, call.caller, mine)),
        "port": len(list_ports(call.site, call.caller, mine)),
        "security_group": len(groups),
        "security_group_rule": sum(len(group.rules) for group in groups),
    }
    return {
        "quota": {
            name: {"limit": UNLIMITED, "used": used.get(name, 0), "reserved": 0} for name in _NAMES
        }
    }


def change(call: Call[None]) -> None:
    """Refuse to set a limit that nobody would hold."""
    raise NotOffered("quotas cannot be set; everything is unlimited")


def _check(call: Call[None]) -> str:
    project_id = call.path["project"]
    if not owns(call.caller, project_id):
        raise missing("Quota", project_id)
    return project_id


_READ = Policy("get_quota", READER)
_WRITE = Policy("update_quota", ADMIN)
_ONE = "/v2.0/quotas/{project}"
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/quotas", handler=list_, policy=_READ),
    Row(method="GET", path="/v2.0/quotas/tenant", handler=own, policy=_READ),
    Row(method="GET", path="/v2.0/quotas/project", handler=own, policy=_READ),
    Row(method="GET", path=_ONE, handler=show, policy=_READ),
    Row(method="GET", path=f"{_ONE}/default", handler=show, policy=_READ),
    Row(method="GET", path=f"{_ONE}/details", handler=details, policy=_READ),
    Row(method="PUT", path=_ONE, handler=change, policy=_WRITE),
    Row(method="DELETE", path=_ONE, handler=change, policy=_WRITE),
)
