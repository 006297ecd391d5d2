"""Why a server is where it is, or nowhere, and what would become of one that nobody has made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.address_room import address_demands
from lanekeeper.control.compute.filter_choice import filters_now
from lanekeeper.control.compute.question import Question, asking_for, wants_of
from lanekeeper.control.compute.quota import check_quota
from lanekeeper.control.compute.server import server_seen
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.event import ServerEvent
from lanekeeper.domain.compute.quota import asked_by, with_devices
from lanekeeper.domain.errors import NotFound
from lanekeeper.domain.scheduling.bound import check_addresses
from lanekeeper.domain.scheduling.claimed import classes_taken
from lanekeeper.domain.scheduling.host import HostView, ServerRequest
from lanekeeper.domain.scheduling.member_view import member_rejections, member_verdict
from lanekeeper.domain.scheduling.selection import (
    Choice,
    Rejection,
    cause_first,
    explain_rejections,
    select_hosts,
)
from lanekeeper.domain.scheduling.server_filter import located
from lanekeeper.domain.scheduling.verdict import Filter, Verdict
from lanekeeper.store.compute.server import event_list, refusal_list

_EACH_TOLD = 100
"""Hosts up to which each says for itself all that stands against it; many are told by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAnswer:
    """What one host says, or several that say the same.

    Attributes:
        hosts: the first few, by name; empty for those who may not know them.
        count: how many hosts say this.
        rank: 1 for the host that would be taken, then 2 and so on; None when it does not fit.
        devices: addresses that the server would get, or has got.
        cells: numbers of the host's NUMA cells that it would get, or has got.
        verdicts: each constraint that it does not meet; of many hosts, and in a stored answer, the
            first alone.
    """

    hosts: tuple[str, ...] = ()
    count: int = 1
    rank: int | None = None
    devices: tuple[str, ...] = ()
    cells: tuple[int, ...] = ()
    verdicts: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What all hosts say.

    Attributes:
        summary: one paragraph; for a server in ERROR what its fault says.
        at: when the decision was made; None for one that was not.
    """

    fits: bool
    summary: str
    hosts: tuple[HostAnswer, ...] = ()
    at: datetime | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)


def explain(
    site: Site, caller: Caller, question: Question, *, project: str | None = None
) -> Answer:
    """Say where such a server would go now, and of every other host all that stands against it.

    Admins are told of hosts and devices by name, members see ``_for_member``. An admin may ask it
    of a server of another *project*, by id or name.

    Raises:
        Invalid: something that is named does not exist, or could not be given to any server.
        OverQuota: the project may not have it, wherever it fits.
        Conflict: a subnet has no address left, or as in a creation.
        Forbidden, NotOffered: as in a creation.
    """
    with site.database.read() as connection:
        if project is not None:
            caller = asking_for(connection, caller, project)
        wants = wants_of(connection, site, caller, question)
        request = wants.request
        check_quota(connection, site, request.project_id, asked_by(request))
        demands = address_demands(connection, wants.nics, with_ports=False)
    filters, fleet = filters_now(site), site.hosts()
    request = located(request, fleet)
    selection = select_hosts(
        request,
        fleet,
        filters,
        multipliers=site.config.scheduler.multipliers,
        choices=_EACH_TOLD,
        whole=True,
    )
    answers = [_fitting(choice, rank) for rank, choice in enumerate(selection.choices, 1)]
    if selection.fitting > len(answers):
        rest = selection.fitting - len(answers)
        answers.append(HostAnswer(count=rest, rank=len(answers) + 1))
    if len(fleet) <= _EACH_TOLD:
        fit = {choice.host.id for choice in selection.choices}
        unfit = [view for view in fleet.views if view.id not in fit]
        unfit.sort(key=lambda view: view.name != request.host)
        answers += [_unfit(request, view, filters) for view in unfit]
    else:
        answers += [_rejected(one) for one in cause_first(selection.rejections)]
    if selection.choices:
        first = selection.choices[0]
        with site.database.read() as connection:
            taken = with_devices(asked_by(request), classes_taken(first))
            check_quota(connection, site, request.project_id, taken)
        check_addresses(demands)
        summary = (
            f"{selection.fitting} of {len(fleet)} hosts fit; {first.host.name} would be "
            f"taken{_with(_addresses(first), _cells(first))}."
        )
    else:
        summary = selection.explain()
    answer = Answer(
        fits=bool(selection.choices),
        summary=summary,
        hosts=tuple(answers),
        asked=_asked(request),
    )
    return answer if caller.is_admin else _for_member(answer, selection.rejections)


def explain_server(site: Site, caller: Caller, server_id: str) -> Answer:
    """Say why a server was put where it was, as it was found when it was created.

    Admins are told of hosts and devices by name, members see ``_for_member``.

    Raises:
        NotFound: there is no such server, or it is another project's.
    """
    with site.database.read() as connection:
        record = server_seen(connection, caller, server_id)
        events = event_list(connection, server_id)
    created = next((event for event in events if event.action == "create"), None)
    if created is None:
        raise NotFound(f"nothing is kept of how server {server_id} was placed")
    chosen = str(created.detail.get("host", ""))
    rejections = _stored(created.detail.get("rejections", ()))
    devices = tuple(created.detail.get("devices", ()))
    cells = tuple(created.detail.get("cells", ()))
    taken = HostAnswer(hosts=(chosen,), rank=1, devices=devices, cells=cells)
    answer = Answer(
        fits=bool(chosen),
        summary=f"{chosen} was taken{_with(devices, cells)}." if chosen else created.message,
        hosts=(*([taken] if chosen else ()), *map(_rejected, cause_first(rejections))),
        at=created.at,
        asked={"needs": list(record.device_requests), "flavor": record.flavor["name"]},
    )
    return answer if caller.is_admin else _for_member(answer, rejections)


def _for_member(answer: Answer, rejections: Sequence[Rejection]) -> Answer:
    """The same answer for somebody who may not know hosts: counts in place of names.

    Hosts that say the same are told once; those that fit say nothing but that.
    """
    told = [
        tuple(plain_verdict(member_verdict(_verdict(one))) for one in host.verdicts)
        for host in answer.hosts
    ]
    counts = [host.count for host in answer.hosts]
    fitting = sum(host.count for host in answer.hosts if host.rank is not None)
    groups: list[HostAnswer] = [HostAnswer(count=fitting, rank=1)] if fitting else []
    for place, verdicts in enumerate(told):
        if verdicts and verdicts not in told[:place]:
            alike = [count for one, count in zip(told, counts, strict=True) if one == verdicts]
            groups.append(HostAnswer(count=sum(alike), verdicts=verdicts))
    if not answer.fits:
        summary = explain_rejections(member_rejections(rejections))
    elif answer.at is not None:
        summary = "A host was taken."
    else:
        summary = f"{fitting} of {sum(counts)} hosts fit."
    return replace(answer, summary=summary, hosts=tuple(groups))


def list_refusals(site: Site, limit: int) -> list[ServerEvent]:
    """Servers that found no host, the latest first; at most *limit*."""
    with site.database.read() as connection:
        return [event for event in refusal_list(connection, limit) if "rejections" in event.detail]


def _fitting(choice: Choice, rank: int) -> HostAnswer:
    return HostAnswer(
        hosts=(choice.host.name,), rank=rank, devices=_addresses(choice), cells=_cells(choice)
    )


def _unfit(request: ServerRequest, view: HostView, filters: Sequence[Filter]) -> HostAnswer:
    found = (each.why(request, view) for each in filters)
    return HostAnswer(
        hosts=(view.name,), verdicts=tuple(plain_verdict(one) for one in found if one is not None)
    )


def _rejected(rejection: Rejection) -> HostAnswer:
    return HostAnswer(
        hosts=rejection.hosts, count=rejection.count, verdicts=(plain_verdict(rejection.verdict),)
    )


def plain_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data, for clients."""
    return {
        "filter": verdict.code,
        "reason": verdict.reason,
        "remedy": verdict.remedy,
        "facts": dict(verdict.facts),
    }


def _verdict(plain: Mapping[str, Any]) -> Verdict:
    """Read what ``_plain`` wrote."""
    return Verdict(
        code=plain["filter"], reason=plain["reason"], remedy=plain["remedy"], facts=plain["facts"]
    )


def _stored(rejections: Sequence[Mapping[str, Any]]) -> list[Rejection]:
    """Read what ``server_create.plain`` wrote."""
    return [Rejection(_verdict(one), tuple(one["hosts"]), int(one["count"])) for one in rejections]


def _addresses(choice: Choice) -> tuple[str, ...]:
    return tuple(given.device.address for given in choice.given)


def _cells(choice: Choice) -> tuple[int, ...]:
    return tuple(seat.host_cell for seat in choice.seats)


def _with(devices: Sequence[str], cells: Sequence[int]) -> str:
    said = f", with {', '.join(devices)}" if devices else ""
    if not cells:
        return said
    plural = "s" if len(cells) > 1 else ""
    return f"{said}, on NUMA cell{plural} {', '.join(map(str, cells))}"


def _asked(request: ServerRequest) -> dict[str, Any]:
    needs = [{"name": need.name, "count": need.request.count} for need in request.needs]
    return {
        **request.amounts,
        "needs": needs,
        "zone": request.zone,
        "host": request.host,
        "numa_cells": len(request.topology.cells) if request.topology is not None else 0,
    }
