"""``os-simple-tenant-usage``: how long servers ran, by project.

Source: nova ``api/openstack/compute/simple_tenant_usage.py``; pages since 2.40, unknown parameters
are refused since 2.75.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from lanekeeper.api.compute.value import (
    at_least,
    bare_stamp,
    limit_of,
    moment,
    next_link,
    only,
)
from lanekeeper.api.row import ADMIN, READER, Call, Policy, Row
from lanekeeper.control.compute.usage import server_usage
from lanekeeper.domain.compute.usage import ProjectUsage, ServerSpan, usage_by_project
from lanekeeper.domain.errors import Invalid

_LIST = Policy("os_compute_api:os-simple-tenant-usage:list", ADMIN)
_SHOW = Policy("os_compute_api:os-simple-tenant-usage:show", READER)
_QUERY = ("start", "end", "detailed", "limit", "marker")
_PAGES = "2.40"
_YES = ("1", "True", "true")
"""The second is the SDK's, which Nova takes for no."""


@dataclass(frozen=True, slots=True)
class _Period:
    start: datetime
    end: datetime
    now: datetime


def list_(call: Call[None]) -> dict[str, object]:
    """List how long the servers of each project ran."""
    period = _period(call)
    spans = server_usage(call.site, call.caller, period.start, period.end, None)
    shown, links = _page(call, spans, "os-simple-tenant-usage")
    is_detailed = call.asked("detailed") in _YES
    usages = [
        _project(project_id, tuple(mine), period, is_detailed=is_detailed)
        for project_id, mine in groupby(shown, key=lambda span: span.project_id)
    ]
    return {"tenant_usages": usages, **({"tenant_usages_links": links} if links else {})}


def show(call: Call[None]) -> dict[str, object]:
    """Show how long each server of a project ran.

    Where none did, all is 0; Nova answers an empty object, and the stock client stumbles over it.
    """
    project_id, period = call.path["project_id"], _period(call)
    spans = server_usage(call.site, call.caller, period.start, period.end, project_id)
    shown, links = _page(call, spans, f"os-simple-tenant-usage/{project_id}")
    usage = _project(project_id, shown, period, is_detailed=True)
    return {"tenant_usage": usage, **({"tenant_usage_links": links} if links else {})}


def _period(call: Call[None]) -> _Period:
    """The time that is asked about; now where nothing is said.

    Raises:
        Invalid: no moments, or the first is not before the second.
    """
    only(call, _QUERY)
    now = call.site.clock()
    start, end = (_moment(call, name) or now for name in ("start", "end"))
    if start > end:
        raise Invalid(
            "Invalid start time. The start time cannot occur after the end time.",
            hint=f"start {bare_stamp(start)}, end {bare_stamp(end)}",
        )
    return _Period(start, min(end, now), now)


def _moment(call: Call[None], name: str) -> datetime | None:
    text = call.asked(name)
    if not text:
        return None
    day, time = text[:10], text[11:]
    return moment(f"{day}T{time}" if time else text, name)


def _page(
    call: Call[None], spans: Sequence[ServerSpan], path: str
) -> tuple[Sequence[ServerSpan], list[dict[str, str]]]:
    """The servers of the page that is asked for, and the link to the next one if there is one.

    Raises:
        Invalid: the marker is no server of those.
    """
    if not at_least(call, _PAGES):
        return spans, []
    marker, most = call.asked("marker"), limit_of(call)
    ids = [span.server_id for span in spans]
    if marker and marker not in ids:
        raise Invalid(f"marker [{marker[:80]}] not found")
    first = ids.index(marker) + 1 if marker else 0
    shown = spans[first : first + most]
    is_more = first + most < len(spans)
    return shown, next_link(call, path, shown[-1].server_id) if is_more else []


def _project(
    project_id: str, spans: Sequence[ServerSpan], period: _Period, *, is_detailed: bool
) -> dict[str, Any]:
    found = usage_by_project(spans, (), period.start, period.end)
    usage = found[0] if found else ProjectUsage(project_id=project_id)
    servers = {"server_usages": [_server(span, period) for span in spans]} if is_detailed else {}
    return {
        "tenant_id": usage.project_id,
        "total_hours": usage.server_hours,
        "total_vcpus_usage": usage.vcpu_hours,
        "total_memory_mb_usage": usage.memory_mib_hours,
        "total_local_gb_usage": usage.disk_gib_hours,
        "start": bare_stamp(period.start),
        "stop": bare_stamp(period.end),
        **servers,
    }


def _server(span: ServerSpan, period: _Period) -> dict[str, Any]:
    uptime = (span.ended_at or period.now) - span.launched_at
    return {
        "instance_id": span.server_id,
        "name": span.name,
        "tenant_id": span.project_id,
        "flavor": span.flavor_name,
        "vcpus": span.vcpus,
        "memory_mb": span.ram_mib,
        "local_gb": span.disk_gib,
        "hours": span.hours(period.start, period.end),
        "started_at": bare_stamp(span.launched_at),
        "ended_at": bare_stamp(span.ended_at),
        "state": span.state,
        "uptime": int(uptime.total_seconds()),
    }


_MANY = "/v2.1/os-simple-tenant-usage"

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_MANY, handler=list_, policy=_LIST),
    Row(method="GET", path=f"{_MANY}/{{project_id}}", handler=show, policy=_SHOW),
)
