"""How many more of one server fit, where, and what runs out: by choosing and claiming in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.errors import clause
from lanekeeper.domain.scheduling.claimed import claimed
from lanekeeper.domain.scheduling.filter import Filter, Verdict
from lanekeeper.domain.scheduling.fleet import Fleet
from lanekeeper.domain.scheduling.host import HostView, ServerRequest
from lanekeeper.domain.scheduling.multiplier import Multipliers
from lanekeeper.domain.scheduling.selection import (
    Choice,
    Rejection,
    choose_on,
    first_verdict,
    select_hosts,
)
from lanekeeper.domain.scheduling.server_filter import located


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many more servers one host takes.

    Attributes:
        limit: what turns the next one away; None where counting stopped before.
    """

    host: str
    count: int
    limit: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How many more servers fit.

    Attributes:
        count: all of them; *is_more* says that counting stopped there.
        rooms: hosts that take some, in the order in which the first would be chosen.
        shut: hosts that take none, by reason.
        hosts: how many there are.
    """

    count: int
    is_more: bool
    rooms: tuple[Room, ...]
    shut: tuple[Rejection, ...]
    hosts: int

    @property
    def first_out(self) -> Rejection | None:
        """What runs out first: the limit of most of the hosts that take some, or else shut some."""
        found: dict[str, list[Room]] = {}
        for room in self.rooms:
            if room.limit is not None:
                found.setdefault(room.limit.code, []).append(room)
        if not found:
            return self.shut[0] if self.shut and not self.rooms else None
        most = max(found.values(), key=len)
        soonest = min(most, key=lambda room: room.count)
        assert soonest.limit is not None
        return Rejection(soonest.limit, (soonest.host,), len(most))

    def summary(self) -> str:
        """One line: how many, where, and what would make it more."""
        at_least = "at least " if self.is_more else ""
        said = f"{at_least}{self.count} more fit, on {len(self.rooms)} of {self.hosts} hosts."
        out = self.first_out
        if out is None:
            return said
        return (
            f"{said} {out.verdict.code} runs out first, on {out.count}: {''.join(out.hosts[:1])} "
            f"then {clause(out.verdict.reason)}. What would help: {clause(out.verdict.remedy)}."
            if self.rooms
            else f"{said} {clause(str(out))}. What would help: {clause(out.verdict.remedy)}."
        )


def capacity_of(
    request: ServerRequest,
    fleet: Fleet,
    filters: Sequence[Filter],
    *,
    multipliers: Multipliers,
    most: int,
) -> Capacity:
    """Count how many servers like *request* could be created one after the other, up to *most*.

    What one host takes depends on no other host but for an affinity group without servers: all of
    it goes where its first server does.
    """
    request = located(request, fleet)
    selection = select_hosts(
        request, fleet, filters, multipliers=multipliers, choices=most, whole=True
    )
    choices, fitting, group = selection.choices, selection.fitting, request.group
    if group is not None and group.policy is GroupPolicy.AFFINITY and not group.hosts:
        choices, fitting = choices[:1], min(fitting, 1)
    rooms: list[Room] = []
    left = most
    for choice in choices:
        if not left:
            break
        room = _fill(request, choice, filters, left)
        rooms.append(room)
        left -= room.count
    stopped = any(room.limit is None for room in rooms) or len(rooms) < fitting
    return Capacity(
        count=most - left,
        is_more=stopped,
        rooms=tuple(rooms),
        shut=selection.rejections,
        hosts=len(fleet),
    )


def _fill(request: ServerRequest, first: Choice, filters: Sequence[Filter], most: int) -> Room:
    """Give the host one server after the other, until a filter says no or *most* are there."""
    count, view = 0, first.host
    for view in _filled(request, first, filters):  # noqa: B007  # the last one is looked at below
        count += 1
        if count == most:
            break
    return Room(
        host=first.host.name, count=count, limit=first_verdict(_there(request, view), view, filters)
    )


def _filled(
    request: ServerRequest, choice: Choice, filters: Sequence[Filter]
) -> Iterator[HostView]:
    number = 0
    while True:
        number += 1
        view = claimed(request, choice, f"server {number}")
        yield view
        if first_verdict(_there(request, view), view, filters) is not None:
            return
        choice = choose_on(_there(request, view), view)


def _there(request: ServerRequest, view: HostView) -> ServerRequest:
    """The request once this host has servers of its group."""
    if request.group is None or view.name in request.group.hosts:
        return request
    hosts = request.group.hosts | {view.name}
    return replace(request, group=replace(request.group, hosts=hosts))
