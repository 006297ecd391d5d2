"""A server as clients see it: one row a field, with the microversions that have it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

from lanekeeper.api.compute.value import at_least, bare_stamp, links, stamp
from lanekeeper.api.microversion import Microversion
from lanekeeper.api.row import Call
from lanekeeper.control.compute.server import HOST_FAILED
from lanekeeper.control.compute.server_list import ServerDetail
from lanekeeper.domain.compute.server import VmState

Look = Callable[[Call[Any], ServerDetail], object]

ABSENT = object()
"""What a look returns when this server does not have the field now."""

_PROPERTY_LENGTH_MAX = 255


def _addresses(call: Call[Any], server: ServerDetail) -> object:
    if server.record.vm_state == VmState.BUILDING:
        return {}  # Nova hides them until the guest is there
    networks: dict[str, list[dict[str, object]]] = {}
    for port in server.ports:
        for fixed in port.fixed_ips:
            networks.setdefault(port.network_name, []).append(
                {
                    "version": 6 if ":" in fixed.ip else 4,
                    "addr": fixed.ip,
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": port.mac,
                }
            )
    return networks


def _flavor_link(call: Call[Any], server: ServerDetail) -> object:
    flavor_id = server.record.flavor["id"]
    _, bookmark = links(call, f"flavors/{flavor_id}")
    return {"id": flavor_id, "links": [bookmark]}


def _flavor_embedded(call: Call[Any], server: ServerDetail) -> object:
    flavor = server.record.flavor
    return {
        "vcpus": flavor["vcpus"],
        "ram": flavor["ram_mib"],
        "disk": flavor["disk_gib"],
        "ephemeral": flavor["ephemeral_gib"],
        "swap": flavor["swap_mib"],
        "original_name": flavor["name"],
        "extra_specs": flavor["extra_specs"],
    }


def _image(call: Call[Any], server: ServerDetail) -> object:
    image_id = server.record.image_id
    if image_id is None:
        return ""
    _, bookmark = links(call, f"images/{image_id}")
    image: dict[str, object] = {"id": image_id, "links": [bookmark]}
    if at_least(call, "2.98"):
        image["properties"] = {
            key: text
            for key, value in server.record.image_properties.items()
            if len(text := str(value)) <= _PROPERTY_LENGTH_MAX
        }
    return image


def _fault(call: Call[Any], server: ServerDetail) -> object:
    fault = server.record.fault
    if server.status != "ERROR" or not fault:
        return ABSENT
    return {
        "code": fault["code"],
        "created": stamp(datetime.fromisoformat(fault["created"])),
        "message": fault["message"] if call.caller.is_admin else fault.get("told", HOST_FAILED),
    }


def _progress(call: Call[Any], server: ServerDetail) -> object:
    return 0 if server.status in ("ACTIVE", "BUILD") else ABSENT


def _host_id(call: Call[Any], server: ServerDetail) -> object:
    record = server.record
    return "" if record.host_name is None else host_id(record.project_id, record.host_name)


def host_id(project_id: str, host_name: str) -> str:
    """Tells a project whether two of its servers share a host, and nothing more."""
    return hashlib.sha224(f"{project_id}{host_name}".encode()).hexdigest()


def _groups(call: Call[Any], server: ServerDetail) -> object:
    return [{"name": name} for name in server.groups] or ABSENT


def _admin(look: Look) -> Look:
    """For admins only; members do not see the field at all."""
    return lambda call, server: look(call, server) if call.caller.is_admin else ABSENT


def _of(name: str) -> Look:
    return lambda call, server: getattr(server.record, name)


def instance_name(server_id: str) -> str:
    """The name of the guest on its host."""
    return f"instance-{server_id.partition('-')[0]}"


FIELDS: tuple[tuple[str, str, str, Look], ...] = (
    ("", "", "id", _of("id")),
    ("", "", "name", _of("name")),
    ("", "", "status", lambda call, server: server.status),
    ("", "", "tenant_id", _of("project_id")),
    ("", "", "user_id", _of("user_id")),
    ("", "", "metadata", _of("metadata")),
    ("", "", "hostId", _host_id),
    ("", "", "image", _image),
    ("", "2.46", "flavor", _flavor_link),
    ("2.47", "", "flavor", _flavor_embedded),
    ("", "", "created", lambda call, server: stamp(server.record.created_at)),
    ("", "", "updated", lambda call, server: stamp(server.record.updated_at)),
    ("", "", "addresses", _addresses),
    ("", "", "accessIPv4", _of("access_ip_v4")),
    ("", "", "accessIPv6", _of("access_ip_v6")),
    ("", "", "links", lambda call, server: links(call, f"servers/{server.record.id}")),
    ("", "", "OS-DCF:diskConfig", _of("disk_config")),
    ("", "", "progress", _progress),
    ("", "", "fault", _fault),
    ("", "", "OS-EXT-AZ:availability_zone", _of("availability_zone")),
    ("", "", "config_drive", lambda call, server: "True" if server.record.config_drive else ""),
    ("", "", "key_name", _of("key_name")),
    ("", "", "OS-SRV-USG:launched_at", lambda call, s: bare_stamp(s.record.launched_at)),
    ("", "", "OS-SRV-USG:terminated_at", lambda call, s: bare_stamp(s.record.terminated_at)),
    ("", "", "security_groups", _groups),
    ("", "", "OS-EXT-SRV-ATTR:host", _admin(_of("host_name"))),
    (
        "",
        "",
        "OS-EXT-SRV-ATTR:instance_name",
        _admin(lambda call, server: instance_name(server.record.id)),
    ),
    ("", "", "OS-EXT-SRV-ATTR:hypervisor_hostname", _admin(_of("host_name"))),
    ("2.3", "2.89", "OS-EXT-SRV-ATTR:hostname", _admin(_of("hostname"))),
    ("2.90", "", "OS-EXT-SRV-ATTR:hostname", _of("hostname")),
    ("2.3", "", "OS-EXT-SRV-ATTR:reservation_id", _admin(_of("reservation_id"))),
    ("2.3", "", "OS-EXT-SRV-ATTR:launch_index", _admin(_of("launch_index"))),
    (
        "2.3",
        "",
        "OS-EXT-SRV-ATTR:kernel_id",
        _admin(lambda call, s: s.record.image_properties.get("kernel_id", "")),
    ),
    (
        "2.3",
        "",
        "OS-EXT-SRV-ATTR:ramdisk_id",
        _admin(lambda call, s: s.record.image_properties.get("ramdisk_id", "")),
    ),
    ("2.3", "", "OS-EXT-SRV-ATTR:root_device_name", _admin(lambda call, server: "/dev/vda")),
    ("2.3", "", "OS-EXT-SRV-ATTR:user_data", _admin(_of("user_data"))),
    ("", "", "OS-EXT-STS:task_state", _of("task_state")),
    ("", "", "OS-EXT-STS:vm_state", _of("vm_state")),
    ("", "", "OS-EXT-STS:power_state", _of("power_state")),
    ("", "", "os-extended-volumes:volumes_attached", lambda call, server: []),
    ("2.9", "", "locked", _of("locked")),
    ("2.16", "", "host_status", _admin(lambda call, server: server.host_status)),
    ("2.19", "", "description", lambda call, server: server.record.description or None),
    ("2.26", "", "tags", _of("tags")),
    ("2.63", "", "trusted_image_certificates", lambda call, server: None),
    ("2.73", "", "locked_reason", _of("locked_reason")),
    ("2.96", "", "pinned_availability_zone", _of("pinned_zone")),
    ("2.100", "", "scheduler_hints", _of("scheduler_hints")),
)
"""Since, until (both inclusive, empty for ever), the field's name, and how to see it."""


def _grouped(server: ServerDetail) -> list[str]:
    return [] if server.server_group_id is None else [server.server_group_id]


SHOWN_ALONE: tuple[tuple[str, str, str, Look], ...] = (
    ("2.71", "", "server_groups", lambda call, server: _grouped(server)),
)
"""What one server shows and a list of them does not."""


def detail(call: Call[Any], server: ServerDetail) -> dict[str, object]:
    """A server in full, as a list shows it."""
    return _looked(call, server, _fields(call.microversion, alone=False))


def alone(call: Call[Any], server: ServerDetail) -> dict[str, object]:
    """A server in full, as it is shown by itself."""
    return _looked(call, server, _fields(call.microversion, alone=True))


def brief(call: Call[Any], server: ServerDetail) -> dict[str, object]:
    record = server.record
    return {"id": record.id, "name": record.name, "links": links(call, f"servers/{record.id}")}


def addresses(call: Call[Any], server: ServerDetail) -> dict[str, list[dict[str, object]]]:
    """Addresses by network, without what only full servers tell."""
    networks = _addresses(call, server)
    assert isinstance(networks, dict)
    return {
        name: [{"version": one["version"], "addr": one["addr"]} for one in shown]
        for name, shown in networks.items()
    }


@lru_cache(maxsize=256)
def _fields(version: Microversion, *, alone: bool) -> tuple[tuple[str, Look], ...]:
    return tuple(
        (name, look)
        for since, until, name, look in (*FIELDS, *(SHOWN_ALONE if alone else ()))
        if (not since or Microversion.parse(since) <= version)
        and (not until or version <= Microversion.parse(until))
    )


def _looked(
    call: Call[Any], server: ServerDetail, fields: tuple[tuple[str, Look], ...]
) -> dict[str, object]:
    seen = ((name, look(call, server)) for name, look in fields)
    return {name: value for name, value in seen if value is not ABSENT}
