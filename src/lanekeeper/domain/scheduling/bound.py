"""What bounds how many servers can be created, whatever hosts have: addresses and quotas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lanekeeper.domain.compute.quota import Limits, asked_by, excesses, quota_remedy, with_devices
from lanekeeper.domain.network.subnet import MORE_ADDRESSES, SubnetRecord, no_address_left
from lanekeeper.domain.scheduling.host import ServerRequest
from lanekeeper.domain.scheduling.verdict import Verdict

ADDRESSES, QUOTA = "addresses", "quota"


@dataclass(frozen=True, slots=True)
class Bound:
    """So many servers and no more, and why."""

    count: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class AddressDemand:
    """Addresses that each server takes, of any of these subnets.

    Attributes:
        free: addresses that nobody has in their pools.
        each: how many one server takes.
    """

    subnets: tuple[SubnetRecord, ...]
    free: int
    each: int = 1


def address_bounds(demands: Iterable[AddressDemand]) -> Iterator[Bound]:
    """Yield how many servers each of *demands* lets be."""
    for one in demands:
        names = ", ".join(f"{subnet.name or subnet.id} ({subnet.cidr})" for subnet in one.subnets)
        yield Bound(
            max(one.free, 0) // one.each,
            Verdict(
                code=ADDRESSES,
                reason=f"subnet {names} has {one.free} addresses free, "
                f"each server takes {one.each}",
                remedy=MORE_ADDRESSES,
                facts={
                    "subnets": [subnet.id for subnet in one.subnets],
                    "free": one.free,
                    "each": one.each,
                },
            ),
        )


def check_addresses(demands: Iterable[AddressDemand]) -> None:
    """Let pass what finds its addresses.

    Raises:
        Conflict: it does not.
    """
    for one in demands:
        if one.free < one.each:
            raise no_address_left(one.subnets)


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
