"""Why a server is where it is, or nowhere, and what would become of one that nobody has made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.filter_choice import filters_now
from lanekeeper.control.compute.flavor import flavor_seen
from lanekeeper.control.compute.server import server_seen
from lanekeeper.control.compute.server_hint import check_hints
from lanekeeper.control.compute.server_nic import port_need
from lanekeeper.control.compute.server_order import (
    NewServer,
    alias_needs,
    image_of_order,
    place_of,
    topology_of,
)
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.event import ServerEvent
from lanekeeper.domain.compute.extra_spec import check_offered, numa_policy, root_policy
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.scheduling.filter import Filter, Verdict
from lanekeeper.domain.scheduling.host import HostView, ServerRequest
from lanekeeper.domain.scheduling.member_view import member_rejections, member_verdict
from lanekeeper.domain.scheduling.selection import (
    Choice,
    Rejection,
    explain_rejections,
    select_hosts,
)
from lanekeeper.domain.scheduling.server_filter import located
from lanekeeper.store.compute.flavor import flavor_list
from lanekeeper.store.compute.server import event_list, refusal_list
from lanekeeper.store.network.port import port_list

_EACH_TOLD = 100
"""Hosts up to which each says for itself all that stands against it; many are told by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A server that might be asked for; flavor, image and ports by id or name.

    Attributes:
        zone: ``ZONE`` or ``ZONE:HOST``, as in a creation.
        hints: scheduler hints, as in a creation.
    """

    flavor: str
    image_id: str | None = None
    ports: tuple[str, ...] = ()
    zone: str | None = None
    host: str | None = None
    hints: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAnswer:
    """What one host says, or several that say the same.

    Attributes:
        hosts: the first few, by name; empty for those who may not know them.
        count: how many hosts say this.
        rank: 1 for the host that would be taken, then 2 and so on; None when it does not fit.
        devices: addresses that the server would get, or has got.
        verdicts: each constraint that it does not meet; of many hosts, and in a stored answer, the
            first alone.
    """

    hosts: tuple[str, ...] = ()
    count: int = 1
    rank: int | None = None
    devices: tuple[str, ...] = ()
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


def explain(site: Site, caller: Caller, question: Question) -> Answer:
    """Say where such a server would go now, and of every other host all that stands against it.

    Admins are told of hosts and devices by name, members see ``_for_member``.

    Raises:
        Invalid: something that is named does not exist, or could not be given to any server.
        Forbidden, NotOffered: as in a creation.
    """
    with site.database.read() as connection:
        request = _request(connection, site, caller, question)
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
        answers += [_unfit(request, view, filters) for view in fleet.views if view.id not in fit]
    else:
        answers += [_rejected(one) for one in selection.rejections]
    if selection.choices:
        first = selection.choices[0]
        summary = (
            f"{selection.fitting} of {len(fleet)} hosts fit; {first.host.name} would be "
            f"taken{_with(_addresses(first))}."
        )
    else:
        summary = selection.explain()
    answer = Answer(
        fits=bool(selection.choices),
        summary=summary,
        hosts=tuple(answers),
        asked=_asked(request),
    )
    return answer if caller.is_admin else _for_member(answer)


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
    devices = tuple(created.detail.get("devices", ()))
    hosts = [HostAnswer(hosts=(chosen,), rank=1, devices=devices)] if chosen else []
    answer = Answer(
        fits=bool(chosen),
        summary=f"{chosen} was taken{_with(devices)}." if chosen else created.message,
        hosts=(*hosts, *_stored(created.detail.get("rejections", ()))),
        at=created.at,
        asked={"needs": list(record.device_requests), "flavor": record.flavor["name"]},
    )
    return answer if caller.is_admin else _for_member(answer)


def _for_member(answer: Answer) -> Answer:
    """The same answer for somebody who may not know hosts: counts in place of names.

    Hosts that say the same are told once; those that fit say nothing but that.
    """
    told = [
        tuple(_plain(member_verdict(_verdict(one))) for one in host.verdicts)
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
        firsts = [Rejection(_verdict(one.verdicts[0]), (), one.count) for one in groups]
        summary = explain_rejections(member_rejections(firsts))
    elif answer.at is not None:
        summary = "A host was taken."
    else:
        summary = f"{fitting} of {sum(counts)} hosts fit."
    return replace(answer, summary=summary, hosts=tuple(groups))


def list_refusals(site: Site, limit: int) -> list[ServerEvent]:
    """Servers that found no host, the latest first; at most *limit*."""
    with site.database.read() as connection:
        return [event for event in refusal_list(connection, limit) if "rejections" in event.detail]


def _request(
    connection: sa.Connection, site: Site, caller: Caller, question: Question
) -> ServerRequest:
    flavor = _flavor(connection, caller, question.flavor)
    filters = site.config.scheduler.enabled_filters
    check_offered(flavor, filters)
    hints = check_hints(connection, caller, question.hints, filters)
    image_id: str | None = None
    properties: Mapping[str, str] = {}
    if question.image_id:
        image = image_of_order(connection, caller, question.image_id, flavor)
        image_id, properties = image.id, image.properties
    policy = numa_policy(flavor.extra_specs, properties)
    ports = [_port(connection, caller, wanted) for wanted in question.ports]
    place = NewServer(
        name="", flavor_id=flavor.id, image_id="", zone=question.zone, host=question.host
    )
    zone, host = place_of(connection, caller, place)
    return ServerRequest(
        vcpus=flavor.vcpus,
        ram_mib=flavor.ram_mib,
        disk_gib=flavor.disk_gib,
        needs=(
            *alias_needs(site, flavor, policy, caller.project_id),
            *(port_need(port, policy) for port in ports),
        ),
        zone=zone,
        host=host,
        topology=topology_of(flavor, properties),
        pcie_root=root_policy(flavor.extra_specs),
        pack_cells=site.config.compute.pack_cells,
        project_id=caller.project_id,
        flavor_name=flavor.name,
        extra_specs=flavor.extra_specs,
        image_id=image_id,
        image_properties=properties,
        same_host=hints.same_host,
        different_host=hints.different_host,
        group=hints.group,
    )


def _flavor(connection: sa.Connection, caller: Caller, wanted: str) -> Flavor:
    try:
        return flavor_seen(connection, caller, wanted)
    except NotFound as error:
        project_id = None if caller.is_admin else caller.project_id
        seen = flavor_list(connection, project_id=project_id)
        for flavor in seen:
            if flavor.name == wanted:
                return flavor
        raise Invalid(f"flavor {wanted[:80]!r} does not exist") from error


def _port(connection: sa.Connection, caller: Caller, wanted: str) -> PortRecord:
    project_id = None if caller.is_admin else caller.project_id or ""
    for column in ("id", "name"):
        found = port_list(connection, {column: (wanted,)}, project_id=project_id)
        if len(found) > 1:
            raise Invalid(f"port {wanted[:80]!r}: {len(found)} ports have this name; use an id")
        if found:
            return found[0]
    raise Invalid(f"port {wanted[:80]!r} does not exist")


def _fitting(choice: Choice, rank: int) -> HostAnswer:
    return HostAnswer(hosts=(choice.host.name,), rank=rank, devices=_addresses(choice))


def _unfit(request: ServerRequest, view: HostView, filters: Sequence[Filter]) -> HostAnswer:
    found = (each.why(request, view) for each in filters)
    return HostAnswer(
        hosts=(view.name,), verdicts=tuple(_plain(one) for one in found if one is not None)
    )


def _rejected(rejection: Rejection) -> HostAnswer:
    return HostAnswer(
        hosts=rejection.hosts, count=rejection.count, verdicts=(_plain(rejection.verdict),)
    )


def _plain(verdict: Verdict) -> dict[str, Any]:
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


def _stored(rejections: Sequence[Mapping[str, Any]]) -> list[HostAnswer]:
    """Read what ``server_create.plain`` wrote."""
    return [
        HostAnswer(
            hosts=tuple(one["hosts"]),
            count=int(one["count"]),
            verdicts=(_plain(_verdict(one)),),
        )
        for one in rejections
    ]


def _addresses(choice: Choice) -> tuple[str, ...]:
    return tuple(given.device.address for given in choice.given)


def _with(devices: Sequence[str]) -> str:
    return f", with {', '.join(devices)}" if devices else ""


def _asked(request: ServerRequest) -> dict[str, Any]:
    needs = [{"name": need.name, "count": need.request.count} for need in request.needs]
    return {**request.amounts, "needs": needs, "zone": request.zone, "host": request.host}
