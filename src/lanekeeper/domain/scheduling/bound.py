"""What bounds how many servers can be created, whatever hosts have: addresses and quotas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lanekeeper.domain.compute.quota import Limits, asked_by, excesses, quota_remedy, with_devices
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.scheduling.filter import Verdict
from lanekeeper.domain.scheduling.host import ServerRequest

ADDRESSES, QUOTA = "addresses", "quota"
_MORE_ADDRESSES = "delete ports, or give the subnet more allocation pools"


@dataclass(frozen=True, slots=True)
class Bound:
    """So many servers and no more, and why."""

    count: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class AddressDemand:
    """Addresses that each server takes, of any of these subnets.

    Attributes:
        names: the subnets, as people know them.
        free: addresses that nobody has in their pools.
        each: how many one server takes.
    """

    names: tuple[str, ...]
    free: int
    each: int = 1


def address_bounds(demands: Iterable[AddressDemand]) -> Iterator[Bound]:
    """Yield how many servers each of *demands* lets be."""
    for one in demands:
        which = ", ".join(one.names)
        yield Bound(
            max(one.free, 0) // one.each,
            Verdict(
                code=ADDRESSES,
                reason=f"subnet {which} has {one.free} addresses free, each server takes "
                f"{one.each}",
                remedy=_MORE_ADDRESSES,
                facts={"subnets": list(one.names), "free": one.free, "each": one.each},
            ),
        )


def check_addresses(demands: Iterable[AddressDemand]) -> None:
    """Let pass what finds its addresses.

    Raises:
        Conflict: it does not.
    """
    for one in demands:
        if one.free < one.each:
            raise Conflict(
                f"no free address is left in the allocation pools of subnet {', '.join(one.names)}",
                hint=_MORE_ADDRESSES,
                code="IpAddressGenerationFailure",
            )


def quota_bound(
    limits: Limits,
    used: Mapping[str, int],
    request: ServerRequest,
    classes: Sequence[Sequence[str]],
    project_id: str,
) -> Bound | None:
    """Say where a project's quota ends; None where it lets all of them be.

    Args:
        limits: what the project may have.
        used: what it has.
        request: what each server asks.
        classes: of each server in the order in which they are created, those of its devices.
        project_id: the project's.
    """
    if limits.is_open:
        return None
    each, has = asked_by(request), dict(used)
    for count, mine in enumerate(classes):
        asked = with_devices(each, mine)
        if over := excesses(limits, has, asked):
            reason = f"the project has no quota for one more: {'; '.join(map(str, over))}"
            return Bound(
                count,
                Verdict(
                    code=QUOTA,
                    reason=reason,
                    remedy=quota_remedy(limits, over[0].resource, project_id),
                    facts={"resources": [one.resource for one in over], "project": project_id},
                ),
            )
        for resource, amount in asked.items():
            has[resource] = has.get(resource, 0) + amount
    return None
