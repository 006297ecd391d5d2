"""How much of Network a project may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.errors import Conflict, Invalid, NotOffered

UNLIMITED = -1
AMOUNT_MAX = 2**31 - 1
"""Source: neutron-lib ``db/constants.py``, DB_INTEGER_MAX_VALUE."""


class Resource(StrEnum):
    """What is counted, by Neutron's names."""

    NETWORK = "network"
    SUBNET = "subnet"
    PORT = "port"
    SECURITY_GROUP = "security_group"
    SECURITY_GROUP_RULE = "security_group_rule"
    RBAC_POLICY = "rbac_policy"


ABSENT = ("router", "floatingip", "subnetpool", "trunk")
"""What Neutron counts and is not offered here."""


@dataclass(frozen=True, slots=True)
class ProjectQuota:
    """What a project may have and has, by resource."""

    limits: Mapping[Resource, int]
    used: Mapping[Resource, int]


def check_limits(
    wanted: Mapping[str, int], used: Mapping[Resource, int], *, force: bool
) -> dict[Resource, int]:
    """Pass limits that can be set; unless by *force*, not below what is used.

    Raises:
        Invalid: out of bounds, or below what is used.
        NotOffered: of something that is not here, so nobody would be held to it.

    Source: neutron ``extensions/quotasv2.py``.
    """
    passed = {}
    for name, amount in wanted.items():
        if not UNLIMITED <= amount <= AMOUNT_MAX:
            raise Invalid(f"quota {name} {amount} is not in {UNLIMITED}..{AMOUNT_MAX}")
        if name in ABSENT:
            if amount != UNLIMITED:
                raise NotOffered(
                    f"a quota of {name} would hold nobody: there are none", hint="leave it out"
                )
            continue
        resource = Resource(name)
        has = used.get(resource, 0)
        if not force and UNLIMITED != amount < has:
            raise Invalid(
                f"Quota limit {amount} for {name} must be greater than or equal to already used "
                f"{has}",
                hint="delete some first, or set it with --force",
            )
        passed[resource] = amount
    return passed


def refuse_excess(resource: Resource, used: int, limit: int) -> None:
    """Let pass what the project has now, with what it just took.

    Raises:
        Conflict: code OverQuota.
    """
    if UNLIMITED != limit < used:
        raise Conflict(
            f"Quota exceeded for resources: ['{resource}']. The project may have {limit}",
            hint="delete some, or have an admin raise the limit: openstack quota set",
            code="OverQuota",
        )
