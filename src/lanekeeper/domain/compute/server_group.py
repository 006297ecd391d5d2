"""Server groups: servers that are kept together, or apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lanekeeper.domain.errors import Invalid


class GroupPolicy(StrEnum):
    """How the servers of a group are placed; the soft ones are wishes."""

    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti-affinity"
    SOFT_AFFINITY = "soft-affinity"
    SOFT_ANTI_AFFINITY = "soft-anti-affinity"


FILTER_OF: Mapping[GroupPolicy, str] = {
    GroupPolicy.AFFINITY: "ServerGroupAffinityFilter",
    GroupPolicy.ANTI_AFFINITY: "ServerGroupAntiAffinityFilter",
}
"""The filter of Nova's that a policy needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGroup:
    """One group.

    Attributes:
        max_per_host: how many of its servers one host may have, by anti-affinity; None says nothing
            and means one.
        members: ids of its servers, the oldest first.
    """

    id: str
    name: str
    project_id: str
    user_id: str
    policy: GroupPolicy
    created_at: datetime
    max_per_host: int | None = None
    members: tuple[str, ...] = ()


def check_rules(policy: GroupPolicy, max_per_host: int | None) -> None:
    """Check what is asked of a new group.

    Raises:
        Invalid: a number of servers for each host with a policy that does not count them.
    """
    if max_per_host is not None and policy is not GroupPolicy.ANTI_AFFINITY:
        raise Invalid(
            "Only anti-affinity policy supports rules.",
            hint=f"leave max_server_per_host out, or use anti-affinity in place of {policy}",
        )
