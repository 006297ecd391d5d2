"""What projects have used: how long their servers ran and they held devices, within a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

_HOUR_S = 3600.0


def hours_within(since: datetime, until: datetime | None, start: datetime, end: datetime) -> float:
    """How much of *since* to *until* (None: it goes on) lies within *start* to *end*."""
    last = end if until is None else min(until, end)
    return max(0.0, (last - max(since, start)).total_seconds()) / _HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpan:
    """A server from its guest's first start to its end.

    Attributes:
        ended_at: None for one that is there, whether its guest runs or not.
        state: ``terminated``, or the vm_state of one that is there.
    """

    server_id: str
    name: str
    project_id: str
    flavor_name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    launched_at: datetime
    ended_at: datetime | None = None
    state: str = "terminated"

    def hours(self, start: datetime, end: datetime) -> float:
        return hours_within(self.launched_at, self.ended_at, start, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpan:
    """A device in somebody's hands, from its claim to its release (None: held yet).

    Attributes:
        alias: by which it was asked for; None for a port's, and for what came along.
    """

    project_id: str
    resource_class: str | None
    alias: str | None
    since: datetime
    until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class ProjectUsage:
    """What one project used, in hours; of memory MiB times hours, of disk GiB times hours.

    Attributes:
        servers: how many there were.
        devices: by resource class; *aliases* those of them that flavors asked for by an alias.
    """

    project_id: str
    servers: int = 0
    server_hours: float = 0.0
    vcpu_hours: float = 0.0
    memory_mib_hours: float = 0.0
    disk_gib_hours: float = 0.0
    devices: dict[str, float] = field(default_factory=dict)
    aliases: dict[str, float] = field(default_factory=dict)

    def add_server(self, span: ServerSpan, hours: float) -> None:
        self.servers += 1
        self.server_hours += hours
        self.vcpu_hours += span.vcpus * hours
        self.memory_mib_hours += span.ram_mib * hours
        self.disk_gib_hours += span.disk_gib * hours

    def add_device(self, span: DeviceSpan, hours: float) -> None:
        for amounts, name in ((self.devices, span.resource_class), (self.aliases, span.alias)):
            if name:
                amounts[name] = amounts.get(name, 0.0) + hours


def usage_by_project(
    servers: Iterable[ServerSpan], devices: Iterable[DeviceSpan], start: datetime, end: datetime
) -> list[ProjectUsage]:
    """Add up what lies within *start* to *end*, by project; one that used nothing is left out."""
    found: dict[str, ProjectUsage] = {}

    def of(project_id: str) -> ProjectUsage:
        return found.setdefault(project_id, ProjectUsage(project_id=project_id))

    for server in servers:
        of(server.project_id).add_server(server, server.hours(start, end))
    for device in devices:
        hours = hours_within(device.since, device.until, start, end)
        of(device.project_id).add_device(device, hours)
    return [found[project_id] for project_id in sorted(found)]
