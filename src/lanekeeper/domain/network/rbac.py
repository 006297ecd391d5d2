"""RBAC policies: whom a network is shared with beside its owner."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lanekeeper.domain.errors import Invalid, NotOffered
from lanekeeper.domain.network.network import EVERYBODY

OBJECT_TYPE = "network"
ACTION = "access_as_shared"
"""Source: neutron ``db/rbac_db_models.py``."""

_ELSEWHERE = {
    "qos_policy": "share it with everybody: openstack network qos policy set --share",
    "security_group": "make the group in each project",
    "address_group": "name each prefix in a rule of its own",
    "address_scope": "give the subnet its cidr",
    "subnetpool": "give the subnet its cidr",
}
_EXTERNAL = "access_as_external"


@dataclass(frozen=True, slots=True, kw_only=True)
class RbacRecord:
    """A network shared with a project, or with everybody. A fact, never edited.

    Attributes:
        project_id: who said so.
    """

    id: str
    project_id: str
    network_id: str
    target_project: str


def check_kind(object_type: str, action: str) -> None:
    """Pass what is offered: networks, shared.

    Raises:
        Invalid: code InvalidInput; there is no such kind or action.
        NotOffered: Neutron has it.
    """
    kind = object_type.strip().lower()
    if kind in _ELSEWHERE:
        raise NotOffered(f"RBAC policies of a {kind} are not offered", hint=_ELSEWHERE[kind])
    if kind != OBJECT_TYPE:
        raise Invalid(
            f"'{object_type[:64]}' is not a valid RBAC object type; network is", code="InvalidInput"
        )
    if action == _EXTERNAL:
        raise NotOffered(
            f"{_EXTERNAL} for one project is not offered",
            hint="openstack network set --external shows it to everybody",
        )
    if action != ACTION:
        raise Invalid(
            f"Invalid action '{action[:64]}' for object type 'network'. Valid actions: {ACTION}",
            code="InvalidInput",
        )


def strangers(users: Collection[str], owner: str, shared_with: Collection[str]) -> list[str]:
    """Of the projects that have ports on a network, those that it is not shared with."""
    if EVERYBODY in shared_with:
        return []
    return sorted(set(users) - {owner, *shared_with})
