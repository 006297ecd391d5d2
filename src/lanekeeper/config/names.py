"""Which keys there are: Lanekeeper's, and all of OpenStack's, which a foreign file may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import resources
from itertools import groupby
from typing import Any, TypeVar, get_type_hints

import msgspec

from lanekeeper.config.option import Option, Section
from lanekeeper.config.tree import Config
from lanekeeper.domain import typed

_T = TypeVar("_T")
LIKENESS = 0.8  # of difflib; 1 is equal
OWN_SECTIONS = frozenset({"lanekeeper", "health"})
_ONE_SCHEDULER = "Nova has one scheduler, which [filter_scheduler] is about"
_BY_VIF_TYPE = "how a guest's card is attached follows from the vif_type of its port"
GONE = {
    ("ml2_sriov", "supported_pci_vendor_devs"): "[pci] device_spec says which devices there are",
    ("ml2_sriov", "agent_required"): "a port is bound only where an agent reports",
    ("default", "firewall_driver"): (
        "Nova has no firewall of its own any more; Neutron's is [securitygroup] firewall_driver"
    ),
    ("glance", "host"): "Nova finds Glance in the catalog, or by [glance] endpoint_override",
    ("scheduler", "driver"): _ONE_SCHEDULER,
    ("default", "scheduler_driver"): _ONE_SCHEDULER,
    ("default", "rpc_backend"): (
        "[DEFAULT] transport_url says which message queue OpenStack has; there is none here"
    ),
    ("default", "network_api_class"): "Nova has no networks but Neutron's any more",
    ("default", "libvirt_vif_driver"): _BY_VIF_TYPE,
    ("libvirt", "vif_driver"): _BY_VIF_TYPE,
}
"""Keys of older releases that nothing replaces, and why nothing has to."""
MOVED = {
    ("default", "scheduler_available_filters"): (
        "[filter_scheduler] available_filters",
        "all filters are there; choose by enabled_filters",
    ),
    ("default", "libvirt_type"): (
        "[libvirt] virt_type",
        "guests are KVM's wherever the host has that",
    ),
    ("default", "sql_connection"): (
        "[database] connection",
        "its own database is that of [lanekeeper] database_url_file",
    ),
    ("neutron", "url"): ("[neutron] endpoint_override", "it has the networks itself"),
    ("placement", "os_region_name"): (
        "[placement] region_name",
        "it is Placement's server, not its client",
    ),
}
"""Keys of older releases that OpenStack has under another name, which Lanekeeper has no need of."""
REPLACED = {
    ("default", "vcpu_pin_set"): (
        "[compute] cpu_dedicated_set = CPUs given to one guest's CPU each, and cpu_shared_set = "
        "those of all other guests",
        "without these two, guests float over all CPUs of the host",
    ),
}
"""Keys that OpenStack still has, but that Lanekeeper reads by other names, where somebody has to
decide what goes where; with what becomes of a host that says it the old way alone."""
GUIDE_NAMES = {("pci", "dev_spec"): ("pci", "device_spec")}
"""Keys that guides print and OpenStack never had, and those that they mean."""
_GENERIC = frozenset({"region_name", "os_region_name"})
_SPECIFIC = frozenset({"alias"})
_HOMES_MAX = 3  # sections with a key before it says nothing about which one is meant


@cache
def options() -> Mapping[tuple[str, str], Option]:
    """Return every option by (field of Config, field of its section), in the tree's order."""
    return {
        (part, field): option
        for part, section in sections().items()
        for field, hint in get_type_hints(section, include_extras=True).items()
        for option in getattr(hint, "__metadata__", ())
        if isinstance(option, Option)
    }


def sections() -> Mapping[str, type[Section]]:
    """Return the type of every part of the tree by the name of its field."""
    return get_type_hints(Config)


@cache
def openstack_options() -> Mapping[str, frozenset[str]]:
    """Return OpenStack's keys by section, in lower case; see ``scripts/openstack_options.py``."""
    data = resources.files("lanekeeper").joinpath("data/openstack_options.json").read_bytes()
    document: dict[str, Any] = typed.decode(data)
    return {section: frozenset(keys) for section, keys in document["options"].items()}


def spellings(option: Option) -> Iterator[tuple[str, str, bool]]:
    """Yield every (section, key, whether it is an old name) under which *option* is read."""
    yield option.section.lower(), option.key, False
    for section, key in option.also:
        yield section.lower(), key, False
    for section, key in option.old:
        yield section.lower(), key, True


def rank(option: Option, section: str, key: str) -> int:
    """Return 0 for today's name of *option*, more for older ones."""
    old = ((one.lower(), name) for one, name in option.old)
    return next((at for at, name in enumerate(old, 1) if name == (section or "default", key)), 0)


def as_read(found: Sequence[_T], place: Callable[[_T], tuple[str, int]]) -> list[_T]:
    """Sort what sets one option as oslo.config reads it: the last counts, or all in this order.

    Of one file older names come first, whatever stands before which; files stay in order.

    Args:
        found: in the order of the files' lines.
        place: returns the file and the rank of the name.
    """
    ordered: list[_T] = []
    for _, of_file in groupby(found, lambda one: place(one)[0]):
        ordered += sorted(of_file, key=lambda one: -place(one)[1])
    return ordered


@cache
def json_keys() -> frozenset[str]:
    """Return the keys whose values are JSON."""
    named = (options()["pci", name] for name in ("device_spec", "alias"))
    return frozenset(key for option in named for _, key, _ in spellings(option)) | {
        key for _, key in GUIDE_NAMES
    }


@cache
def known_keys() -> frozenset[str]:
    """Return every key of any section, Lanekeeper's and OpenStack's."""
    ours = {key for option in options().values() for _, key, _ in spellings(option)}
    return frozenset(ours.union(json_keys(), *openstack_options().values()))


def homes(key: str) -> tuple[str, ...]:
    """Return the sections in which OpenStack has *key*."""
    return tuple(
        "DEFAULT" if section == "default" else section
        for section, keys in sorted(openstack_options().items())
        if key in keys
    )


@cache
def is_specific(key: str) -> bool:
    """Whether *key* tells what it is about wherever it stands; ``host`` and ``url`` do not."""
    if key in _SPECIFIC:
        return True
    return "_" in key and key not in _GENERIC and len(homes(key)) <= _HOMES_MAX


def nearest(section: str, key: str) -> str:
    """Return the known name that looks most like this one, or nothing."""
    read = {
        option.key: option.name
        for option in options().values()
        if option.section.lower() == section or is_specific(option.key)
    }
    if close := get_close_matches(key, read, n=1, cutoff=LIKENESS):
        return read[close[0]]
    close = get_close_matches(key, openstack_options().get(section, ()), n=1, cutoff=LIKENESS)
    return f"[{'DEFAULT' if section == 'default' else section}] {close[0]}" if close else ""


@cache
def device_option_meant(section: str, key: str) -> str:
    """Return the option that a key of ``[pci]`` or ``[DEFAULT]`` was meant for, if that tells which
    devices there are or what flavors call them; nothing where somebody reads the key, or nobody
    can tell.
    """
    if section not in ("pci", "default") or key in openstack_options().get(section, ()):
        return ""
    named = [options()["pci", name] for name in ("device_spec", "alias")]
    near = {known: option.name for option in named for _, known, _ in spellings(option)}
    close = get_close_matches(key, near, n=1, cutoff=LIKENESS)
    return near[close[0]] if close else ""


def bounds_in_words(bounds: msgspec.Meta) -> str:
    """Say what a number must be: ``of at least 68 and at most 65535``."""
    words = [f"above {bounds.gt}" if bounds.gt is not None else f"of at least {bounds.ge}"]
    if bounds.le is not None:
        words.append(f"at most {bounds.le}")
    return " and ".join(words)
