"""What entries of ``deliberate.toml`` ask of a call."""

from __future__ import annotations

from typing import Any

from differential.call import Call


def of_member(call: Call) -> bool:
    return call.who != "admin"


def without_order(call: Call) -> bool:
    """A sort_key without its sort_dir, or a page that is none."""
    return not any(name == "limit" and value not in ("", "0") for name, value in call.query)


def several(call: Call) -> bool:
    """Many things in one request."""
    return len(call.makes) > 1


def null_cidr(call: Call) -> bool:
    return any("cidr" in one and one["cidr"] is None for one in things(call))


def other_type(call: Call) -> bool:
    """The port is to be of another vnic type."""
    return any("binding:vnic_type" in one for one in things(call))


def to_be_bound(call: Call) -> bool:
    """The port is to be on a host, or to become of another type there."""
    return any({"binding:host_id", "binding:vnic_type"} & one.keys() for one in things(call))


def own_vlan(call: Call) -> bool:
    """The network is to have the VLAN id that it has."""
    own = f"{{{call.about}.provider:segmentation_id}}"
    return any(one.get("provider:segmentation_id") == own for one in things(call))


def things(call: Call) -> list[dict[str, Any]]:
    """The bodies of what a call makes or changes."""
    if not isinstance(call.body, dict):
        return []
    found: list[dict[str, Any]] = []
    for value in call.body.values():
        found += [one for one in (value if isinstance(value, list) else [value]) if one]
    return [one for one in found if isinstance(one, dict)]
