"""What clients ask for in passing: extensions, and lists of what is not there yet."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.row import ADMIN, ANYONE, Call, Policy, Row
from lanekeeper.domain.errors import NotFound

_READ = Policy("os_compute_api:extensions", ANYONE)
_MIGRATIONS = Policy("os_compute_api:os-migrations:index", ADMIN)

_EXTENSIONS = (
    ("os-aggregates", "Aggregates", "Groups of hosts."),
    ("os-availability-zone", "AvailabilityZone", "Availability zones of hosts and servers."),
    ("os-console-output", "ConsoleOutput", "The text of a server's console."),
    ("os-extended-server-attributes", "ExtendedServerAttributes", "Where a server runs."),
    ("os-flavor-extra-specs", "FlavorExtraSpecs", "What a flavor asks for beside its size."),
    ("os-hypervisors", "Hypervisors", "Hosts and what they have."),
    ("os-instance-actions", "InstanceActions", "What was asked of a server."),
    ("os-keypairs", "Keypairs", "Public keys that guests trust."),
    ("os-server-groups", "ServerGroups", "Servers that are kept together, or apart."),
    ("os-services", "Services", "The services of hosts."),
)


def _view(alias: str, name: str, description: str) -> dict[str, object]:
    return {
        "alias": alias,
        "name": name,
        "description": description,
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",  # as Nova has it for all
        "updated": "2014-12-03T00:00:00Z",
    }


def extensions(call: Call[None]) -> dict[str, object]:
    """List extensions."""
    return {"extensions": [_view(*one) for one in _EXTENSIONS]}


def extension(call: Call[None]) -> dict[str, object]:
    """Show one extension."""
    for one in _EXTENSIONS:
        if one[0] == call.path["alias"]:
            return {"extension": _view(*one)}
    raise NotFound(f"no extension {call.path['alias'][:80]!r}")


def migrations(call: Call[None]) -> dict[str, object]:
    """List migrations: servers do not move yet."""
    return {"migrations": []}


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.1/extensions", handler=extensions, policy=_READ),
    Row(method="GET", path="/v2.1/extensions/{alias}", handler=extension, policy=_READ),
    Row(method="GET", path="/v2.1/os-migrations", handler=migrations, policy=_MIGRATIONS),
)
