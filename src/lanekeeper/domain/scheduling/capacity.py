"""How many more of one server fit, where, and what runs out: by choosing and claiming in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.errors import clause
from lanekeeper.domain.scheduling.bound import Bound
from lanekeeper.domain.scheduling.claimed import claimed, classes_taken
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
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.scheduling.verdict import Filter, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many more servers one host takes.

    Attributes:
        limit: what turns the next one away; None where counting stopped before.
        classes: of each of the servers, the resource classes of what it takes.
    """

    host: str
    count: int
    limit: Verdict | None
    classes: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How many more servers fit.

    Attributes:
        count: all of them; *is_more* says that counting stopped there.
        rooms: hosts that take some, in the order in which the first would be chosen.
        shut: hosts that take none, by reason.
        hosts: how many there are.
        bounds: what lets fewer of them be than hosts have room for, the narrowest first.
        supposed: what was taken to be otherwise than it is, one sentence each.
    """

    count: int
    is_more: bool
    rooms: tuple[Room, ...]
    shut: tuple[Rejection, ...]
    hosts: int
    bounds: tuple[Bound, ...] = ()
    supposed: tuple[str, ...] = ()

    @property
    def room(self) -> int:
        """How many hosts have room for."""
        return sum(room.count for room in self.rooms)

    def within(self, bounds: Iterable[Bound]) -> Capacity:
        """The same, with all that *bounds* leave of it."""
        narrower = tuple(
            sorted(
                (one for one in bounds if one.count < self.room or self._ends_at(one)),
                key=lambda one: one.count,
            )
        )
        if not narrower:
            return self
        return replace(self, count=narrower[0].count, is_more=False, bounds=narrower)

    def _ends_at(self, bound: Bound) -> bool:
        """Whether counting stopped just where *bound* says that no more can be."""
        return self.is_more and bound.count == self.room

    @property
    def first_out(self) -> Rejection | None:
        """What runs out first: the narrowest bound, or the limit of most of the hosts that take
        some, or else shut some.
        """
        if self.bounds:
            return Rejection(self.bounds[0].verdict, (), 0)
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
        help_ = f"What would help: {clause(out.verdict.remedy)}."
        if self.bounds:
            return (
                f"{self.count} more fit; hosts have room for {self.room}, on {len(self.rooms)} of "
                f"{self.hosts}. {out.verdict.code} runs out first: {clause(out.verdict.reason)}. "
                f"{help_}"
            )
        if not self.rooms:
            return f"{said} {clause(str(out))}. {help_}"
        return (
            f"{said} {out.verdict.code} runs out first, on {out.count}: {''.join(out.hosts[:1])} "
            f"then {clause(out.verdict.reason)}. {help_}"
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
    view, classes = first.host, list[tuple[str, ...]]()
    for choice, view in _filled(request, first, filters):  # noqa: B007  # the last one is looked at
        classes.append(classes_taken(choice))
        if len(classes) == most:
            break
    return Room(
        host=first.host.name,
        count=len(classes),
        limit=first_verdict(_there(request, view), view, filters),
        classes=tuple(classes),
    )


def _filled(
    request: ServerRequest, choice: Choice, filters: Sequence[Filter]
) -> Iterator[tuple[Choice, HostView]]:
    """Yield each server's choice, and the host with that server on it."""
    number = 0
    while True:
        number += 1
        view = claimed(request, choice, f"server {number}")
        yield choice, view
        if first_verdict(_there(request, view), view, filters) is not None:
            return
        found = choose_on(_there(request, view), view)
        if isinstance(found, Shortfall):
            return
        choice = found


def _there(request: ServerRequest, view: HostView) -> ServerRequest:
    """The request once this host has servers of its group."""
    if request.group is None or view.name in request.group.hosts:
        return request
    hosts = request.group.hosts | {view.name}
    return replace(request, group=replace(request.group, hosts=hosts))
