"""The policy's JSON Schema, for editors: what a value may look like, and what each key means.

The parser alone decides; it also knows what no schema says, overlaps of ranges for one.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from lanekeeper.domain.hostplan.policy import (
    device,
    kernel,
    pf,
    policy,
    purpose,
    selector,
    switch,
    vf,
)
from lanekeeper.domain.hostplan.policy.reading import VFS_MAX

_ADDRESS = r"^[0-9a-fA-F:.*]+$"
_MAC = {
    "type": "string",  # of one interface: the lowest bit of the first byte is none (IEEE 802)
    "pattern": rf"^(?:{vf.STABLE}|[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{{2}}){{5}})$",
}
_BOTH = ("physical_network", "alias")
_ONE_PURPOSE = {
    "not": {
        "required": list(_BOTH),
        "properties": {name: {"type": "string"} for name in _BOTH},
    }
}


def schema() -> dict[str, Any]:
    """Return the schema, JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Lanekeeper host policy",
        **_object(
            {
                "version": {"const": policy.VERSION},
                "pfs": {"type": "array", "items": _pf(), "description": "one entry for each PF"},
                "devices": _list(_device(), "functions that go to guests whole"),
                "kernel_arguments": _list(
                    _text(kernel.ARGUMENT), "what the kernel is started with from the next boot on"
                ),
                "huge_pages": _list(_pool(), "pages that NUMA nodes keep"),
                "module_options": {
                    "type": "object",
                    "propertyNames": _text(kernel.MODULE),
                    "additionalProperties": _list(_text(kernel.OPTION), "each as name=value"),
                    "description": "options of kernel modules, by module",
                },
                "blacklist": _list(_text(kernel.MODULE), "modules that do not load by themselves"),
                "ovs": _ovs(),
                "persist": _flag("bring all of it back after a reboot", default=True),
                "manage_management": _flag(
                    "the interface of the host's own traffic may change", default=False
                ),
                "boot": _object(
                    {
                        "entry": {
                            "enum": ["every", "separate"],
                            "description": "which entries of the boot menu get the arguments",
                        }
                    },
                    ("entry",),
                ),
            },
            policy.FIELDS,
            required=("version",),
        ),
    }


def _pf() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0, "maximum": VFS_MAX}
    fields = {
        "pf": _selector(),
        "vfs": {**count, "description": "how many VFs it has; 0 for none"},
        **_wishes(),
        "link": {"enum": ["up", "leave", True], "description": "its interface is set up, or left"},
        "ranges": {"anyOf": [_list(_range(), "VFs that are to be otherwise"), {"type": "null"}]},
        "eswitch": {"enum": [pf.LEGACY, pf.SWITCHDEV, None], "description": "mode of its eswitch"},
        "live_migration": _flag("ConnectX-7: VFs travel with running guests", default=False),
        "allow": _allow(pf.PfAllow, "what a change of it may do to others"),
        "ovs_bridge": _or_null(_text(pf.BRIDGE), "bridge of Open vSwitch for PF and representors"),
    }
    return {**_object(fields, pf.FIELDS, required=("pf", "vfs")), **_ONE_PURPOSE}


def _device() -> dict[str, Any]:
    wishes = _wishes()
    fields = {
        "device": _selector(device.OF_THE_HOST),
        "driver": _or_null(_text(vf.DRIVER), "the driver that is to have it"),
        **{name: wishes[name] for name in (*_BOTH, "tags")},
        "allow": _allow(device.Allow, "what the host may lose with it"),
    }
    return {**_object(fields, device.FIELDS, required=("device",)), **_ONE_PURPOSE}


def _allow(words: type[StrEnum], what: str) -> dict[str, Any]:
    return {"anyOf": [_list({"enum": list(words)}, what), {"type": "null"}]}


def _wishes() -> dict[str, Any]:
    tags: dict[str, Any] = {name: {} for name in vf.TAGS}
    return {
        "vf_driver": _or_null(_text(vf.DRIVER), "none, auto or a driver's name"),
        "physical_network": _or_null(_text(purpose.NAME), "VFs serve ports on this network"),
        "alias": _or_null(_text(purpose.NAME), "VFs serve servers that ask for this alias"),
        "tags": {
            "anyOf": [_object(tags, vf.TAGS), {"type": "null"}],
            "description": "keys for device_spec",
        },
        "mac": _or_null(_MAC, "stable, or the address of the first VF"),
        "trust": {"type": ["boolean", "null"], "description": "VFs may change their addresses"},
        "spoofchk": {"type": ["boolean", "null"], "description": "frames with other addresses go"},
    }


def _range() -> dict[str, Any]:
    which = {"anyOf": [_text(vf.RANGE), {"type": "integer", "minimum": 0, "maximum": VFS_MAX}]}
    fields = {"vfs": {**which, "description": '"0-3", or one'}, **_wishes()}
    return {**_object(fields, ("vfs", *vf.WISHES), required=("vfs",)), **_ONE_PURPOSE}


def _selector(without: tuple[str, ...] = ()) -> dict[str, Any]:
    words = {
        "address": {"type": "string", "pattern": _ADDRESS},
        "netdev": _text(selector.NETDEV),
        "altname": _text(selector.ALTNAME),
        "ids": _text(selector.IDS),
        "vendor": _text(selector.ID),
        "product": _text(selector.ID),
        "class": _text(selector.CLASS),
        "serial": _text(selector.SERIAL),
        "slot": _text(selector.SLOT),
        "driver": _text(selector.DRIVER),
        "numa_node": {"type": "integer", "minimum": 0, "maximum": selector.NODES_MAX},
        "index": {"type": "integer", "minimum": 0, "maximum": VFS_MAX},
    }
    fields = {name: {"anyOf": [kind, {"type": "null"}]} for name, kind in words.items()}
    known = tuple(name for name in selector.FIELDS if name not in without)
    whole = {**_object({name: fields[name] for name in known}, known), "minProperties": 1}
    description = "address, glob, interface, or a mapping of which all must hold"
    return {"anyOf": [{"type": "string", "minLength": 1}, whole], "description": description}


def _pool() -> dict[str, Any]:
    fields = {
        "node": {"type": "integer", "minimum": 0, "maximum": kernel.NODES_MAX},
        "size": {"enum": list(kernel.SIZES_KIB)},
        "pages": {"type": "integer", "minimum": 0, "maximum": kernel.PAGES_MAX},
    }
    return _object(fields, kernel.HUGE_PAGES, required=kernel.HUGE_PAGES)


def _ovs() -> dict[str, Any]:
    idle = {"type": ["integer", "null"], "minimum": 0, "maximum": switch.MAX_IDLE_MS}
    fields = {"hw_offload": {"type": ["boolean", "null"]}, "max_idle_ms": idle}
    return {**_object(fields, switch.FIELDS), "description": "settings of Open vSwitch"}


def _object(
    fields: dict[str, Any], known: tuple[str, ...], required: tuple[str, ...] = ()
) -> dict[str, Any]:
    assert set(fields) == set(known), set(fields) ^ set(known)
    found = {"type": "object", "properties": fields, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def _list(items: dict[str, Any], description: str) -> dict[str, Any]:
    return {"type": "array", "items": items, "description": description}


def _flag(description: str, *, default: bool) -> dict[str, Any]:
    return {"type": "boolean", "default": default, "description": description}


def _or_null(kind: dict[str, Any], description: str) -> dict[str, Any]:
    return {"anyOf": [kind, {"type": "null"}], "description": description}


def _text(pattern: re.Pattern[str]) -> dict[str, Any]:
    """A whole text; JSON Schema knows no flags, so that case is spelled out."""
    text = pattern.pattern.replace("a-f", "a-fA-F") if pattern.flags & re.I else pattern.pattern
    return {"type": "string", "pattern": f"^(?:{text})$"}
