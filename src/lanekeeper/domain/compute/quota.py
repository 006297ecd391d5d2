"""What a project may have of servers, resource classes and aliases, and what would be too much.

Resources have the names of Nova's unified limits: ``servers`` and ``class:VCPU``. What an alias
gives is ours: ``alias:gpu`` counts the devices that flavors ask for by that alias.

Source: nova ``limit/placement.py``; ``limit/utils.py``, should_enforce.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import os_resource_classes

from lanekeeper.domain.errors import Invalid, OverQuota
from lanekeeper.domain.identity.limit import UNLIMITED
from lanekeeper.domain.scheduling.host import ServerRequest

SERVERS = "servers"
EXCEEDED = "lanekeeper.quota.exceeded"
_CLASS, _ALIAS = "class:", "alias:"
_NAME_MAX = 255  # keystone limit/schema.py, resource_name
Amounts = Mapping[str, int]
"""Resource to units of it."""


def of_class(name: str) -> str:
    return f"{_CLASS}{name}"


def of_alias(name: str) -> str:
    return f"{_ALIAS}{name}"


def parse_resource(text: str) -> str:
    """Check the name of a resource that can be limited; an alias may have any name.

    Raises:
        Invalid: nothing is counted under it.
    """
    kind, colon, name = text.partition(":")
    known = text == SERVERS
    if colon and kind == "class":
        known = name in os_resource_classes.STANDARDS or _is_custom(name)
    elif colon and kind == "alias":
        known = bool(name) and name == name.strip()
    if not known or len(text) > _NAME_MAX:
        raise Invalid(
            f"resource_name {text[:80]!r} is nothing that is counted",
            hint="servers, class:VCPU (any resource class) and alias:NAME ([pci] alias) are",
        )
    return text


def _is_custom(name: str) -> bool:
    bare = name.removeprefix("CUSTOM_")
    is_named = bool(bare) and name != bare
    return is_named and name == os_resource_classes.normalize_name(bare)


def check_alias(resource: str, aliases: Collection[str]) -> None:
    """Let pass what is no alias's, or that of one of *aliases*.

    Raises:
        Invalid: it names an alias that is not configured.
    """
    name = resource.removeprefix(_ALIAS)
    if name != resource and name not in aliases:
        known = ", ".join(sorted(aliases)) or "none"
        raise Invalid(
            f"resource_name {resource[:80]!r}: no [pci] alias has this name",
            hint=f"configured are: {known}",
        )


class Strategy(StrEnum):
    """What the list of ``Unregistered`` says of resources that have no registered limit.

    Source: nova ``conf/quota.py``, unified_limits_resource_strategy.
    """

    REQUIRE = "require"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Unregistered:
    """What becomes of resources that nobody registered a limit for.

    Attributes:
        listed: with REQUIRE those that nobody may have then; with IGNORE the only ones that
            everybody may have without bound. Aliases are Nova's in no way: IGNORE leaves them be.
    """

    strategy: Strategy = Strategy.REQUIRE
    listed: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether all of them may be had without bound."""
        return self.strategy is Strategy.REQUIRE and not self.listed

    def limit_of(self, resource: str) -> int:
        if self.strategy is Strategy.REQUIRE:
            return 0 if resource in self.listed else UNLIMITED
        is_ours = resource.startswith(_ALIAS)
        return UNLIMITED if is_ours or resource in self.listed else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one project may have.

    Attributes:
        registered: limits of all projects, by resource.
        own: this project's, which go before those.
    """

    registered: Amounts = field(default_factory=dict)
    own: Amounts = field(default_factory=dict)
    unregistered: Unregistered = Unregistered()

    @property
    def is_open(self) -> bool:
        """Whether nothing is limited at all."""
        return not self.registered and not self.own and self.unregistered.is_open

    def limit_of(self, resource: str) -> int:
        """How much of it the project may have; -1 for without bound."""
        for limits in (self.own, self.registered):
            if resource in limits:
                return max(limits[resource], UNLIMITED)
        return self.unregistered.limit_of(resource)

    @property
    def default(self) -> Limits:
        """What a project may have without limits of its own."""
        return Limits(registered=self.registered, unregistered=self.unregistered)


@dataclass(frozen=True, slots=True)
class Excess:
    """One resource of which more is asked for than the project may have."""

    resource: str
    limit: int
    used: int
    asked: int

    def __str__(self) -> str:
        return f"{self.resource}: requested {self.asked}, already used {self.used} of {self.limit}"


def excesses(limits: Limits, used: Amounts, asked: Amounts) -> tuple[Excess, ...]:
    """What of *asked* does not fit into the limits beside *used*, by name of the resource."""
    found = (
        Excess(resource, limits.limit_of(resource), used.get(resource, 0), amount)
        for resource, amount in sorted(asked.items())
        if amount > 0
    )
    return tuple(
        one for one in found if one.limit != UNLIMITED and one.used + one.asked > one.limit
    )


def refuse_excess(limits: Limits, used: Amounts, asked: Amounts, project_id: str) -> None:
    """Let pass what the project may have beside what it has.

    Raises:
        OverQuota: it is too much; says of each resource the limit, what is used and asked for.
    """
    found = excesses(limits, used, asked)
    if not found:
        return
    raise OverQuota(
        f"Quota exceeded for {'; '.join(map(str, found))}",
        hint=quota_remedy(limits, found[0].resource, project_id),
        code=EXCEEDED,
    )


def quota_remedy(limits: Limits, resource: str, project_id: str) -> str:
    """What would help a project that has all that it may have of *resource*."""
    return (
        "delete servers of the project, or have an admin raise the limit: "
        f"{_raising(limits, resource, project_id)}"
    )


def _raising(limits: Limits, resource: str, project_id: str) -> str:
    """The command that raises what limits a resource, whatever that is."""
    if resource in limits.own:
        listing = f"openstack limit list --project {project_id} --resource-name {resource}"
        return f"openstack limit set --resource-limit N ID, with the ID of {listing}"
    if resource in limits.registered:
        return (
            f"openstack limit create --service nova --project {project_id} --resource-limit N "
            f"{resource}"
        )
    return f"openstack registered limit create --service nova --default-limit N {resource}"


def difference(before: Amounts, after: Amounts) -> dict[str, int]:
    """What has come to *before*."""
    return {
        resource: amount - before.get(resource, 0)
        for resource, amount in after.items()
        if amount != before.get(resource, 0)
    }


def asked_by(request: ServerRequest, servers: int = 1) -> dict[str, int]:
    """What so many servers take that is known before their devices are chosen."""
    amounts = {SERVERS: servers}
    for name, amount in request.amounts.items():
        if amount:
            amounts[of_class(name)] = amount * servers
    for need in request.needs:
        if need.request.alias_name is not None:
            resource = of_alias(need.request.alias_name)
            amounts[resource] = amounts.get(resource, 0) + need.request.count * servers
    return amounts


def with_devices(amounts: Amounts, classes: Iterable[str]) -> dict[str, int]:
    """The same and devices of these classes beside it."""
    added = dict(amounts)
    for name in classes:
        added[of_class(name)] = added.get(of_class(name), 0) + 1
    return added
