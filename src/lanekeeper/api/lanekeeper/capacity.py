"""Capacity over HTTP: how many more servers of one kind fit."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from lanekeeper.api.lanekeeper.explain import Asked
from lanekeeper.api.row import ADMIN, Call, Policy, Row
from lanekeeper.control.compute.capacity import capacity
from lanekeeper.control.compute.explain import plain_verdict
from lanekeeper.control.compute.what_if import Supposition
from lanekeeper.domain.errors import Invalid

_CAPACITY = Policy("lanekeeper:capacity", ADMIN)
_MOST = 1000


class Counted(Asked, frozen=True):
    """A server to be counted.

    Attributes:
        without: names of hosts that are thought away.
        policy: a host policy, as its file has it, that is thought to be applied to *policy_hosts*,
            by name; to all where none is named.
        most: where counting stops.
    """

    without: list[str] = field(default_factory=list)
    policy: dict[str, Any] | None = None
    policy_hosts: list[str] = field(default_factory=list)
    most: Annotated[int, Meta(ge=1, le=100_000)] = _MOST


def count(call: Call[Counted]) -> dict[str, object]:
    """Count how many more such servers fit, where, and what runs out first."""
    asked = call.body
    if asked.policy_hosts and asked.policy is None:
        raise Invalid("policy_hosts: there is no policy beside it", hint="give policy, too")
    supposition = (
        Supposition(asked.policy, tuple(asked.policy_hosts)) if asked.policy is not None else None
    )
    found = capacity(
        call.site,
        call.caller,
        asked.question,
        project=asked.project,
        without=asked.without,
        supposition=supposition,
        most=asked.most,
    )
    out = found.first_out
    return {
        "count": found.count,
        "is_more": found.is_more,
        "room": found.room,
        "summary": found.summary(),
        "runs_out_first": plain_verdict(out.verdict) if out is not None else None,
        "supposed": list(found.supposed),
        "bounds": [
            {"count": one.count, "limit": plain_verdict(one.verdict)} for one in found.bounds
        ],
        "hosts": [
            {
                "host": room.host,
                "count": room.count,
                "limit": plain_verdict(room.limit) if room.limit is not None else None,
            }
            for room in found.rooms
        ],
        "shut": [
            {"hosts": list(one.hosts), "count": one.count, "limit": plain_verdict(one.verdict)}
            for one in found.shut
        ],
    }


ROWS: tuple[Row[Any], ...] = (
    Row(method="POST", path="/capacity", handler=count, policy=_CAPACITY, accepts=Counted),
)
