"""Which network interfaces reach which physical network, as ``[sriov_nic]`` writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress

_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)
_INTERFACE = re.compile(r"[^\s/:]{1,15}")  # Linux net/core/dev.c, dev_valid_name; IFNAMSIZ 16


def parse_device_mappings(text: str) -> dict[str, tuple[str, ...]]:
    """Read ``physical_device_mappings``: ``physnet1:ens1f0,physnet1:ens2f0,physnet2:ens1f0``.

    One network may have several interfaces, one interface several networks; they need not exist.

    Raises:
        Invalid: an entry that is not PHYSNET:INTERFACE.

    Source: neutron-lib ``utils/helpers.py``, parse_mappings(unique_keys=False).
    """
    return _interfaces_by_network(text, "physical_device_mappings")


def parse_shared_mappings(text: str) -> dict[str, tuple[str, ...]]:
    """Read ``shared_physical_device_mappings``, as ``parse_device_mappings``.

    Source: neutron ``agent/l2/extensions/fdb_population.py``.
    """
    return _interfaces_by_network(text, "shared_physical_device_mappings")


def _interfaces_by_network(text: str, option: str) -> dict[str, tuple[str, ...]]:
    mappings: dict[str, tuple[str, ...]] = {}

    def take(entry: str) -> None:
        name, *rest = (piece.strip() for piece in entry.split(":"))
        if not name or len(rest) != 1 or not _INTERFACE.fullmatch(rest[0]):
            raise Invalid(f"{option} {entry!r} is not PHYSNET:INTERFACE")
        before = mappings.get(name, ())
        mappings[name] = before if rest[0] in before else (*before, rest[0])

    _take_each(_entries(text), take)
    return mappings


def parse_bridge_mappings(text: str) -> dict[str, str]:
    """Read ``bridge_mappings``: ``physnet1:br-ex,physnet2:br-data``.

    Raises:
        Invalid: an entry that is not PHYSNET:BRIDGE, a network or a bridge that comes twice.

    Source: neutron-lib ``utils/helpers.py``, parse_mappings(unique_keys=True, unique values).
    """
    mappings: dict[str, str] = {}

    def take(entry: str) -> None:
        name, *rest = (piece.strip() for piece in entry.split(":"))
        if not name or len(rest) != 1 or not _INTERFACE.fullmatch(rest[0]):
            raise Invalid(f"bridge_mappings {entry!r} is not PHYSNET:BRIDGE")
        if name in mappings:
            raise Invalid(f"bridge_mappings names {name} twice; a network is on one bridge")
        if rest[0] in mappings.values():
            raise Invalid(f"bridge_mappings names bridge {rest[0]} twice; it is on one network")
        mappings[name] = rest[0]

    _take_each(_entries(text), take)
    return mappings


def parse_excluded_devices(
    text: str, mappings: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, frozenset[PciAddress]]:
    """Read ``exclude_devices``: ``ens1f0:0000:07:00.2;0000:07:00.3,ens2f0:0000:05:00.1``.

    Addresses may leave the domain out; it is 0 then.

    Args:
        text: the option's value.
        mappings: what ``parse_device_mappings`` gave; None skips the check against it.

    Raises:
        Invalid: an entry that is not INTERFACE:ADDRESS;..., an interface that comes twice or is
            in no mapping, or what is not a PCI address.

    Source: neutron ``conf/plugins/ml2/drivers/mech_sriov/agent_common_config.py``.
    """
    excluded: dict[str, set[PciAddress]] = {}

    def take(entry: str) -> None:
        interface, colon, addresses = (piece.strip() for piece in entry.partition(":"))
        if not interface or not colon:
            raise Invalid(f"exclude_devices {entry!r} is not INTERFACE:ADDRESS[;ADDRESS...]")
        _check_interface("exclude_devices", interface, excluded, mappings)
        found = excluded.setdefault(interface, set())
        pieces = filter(None, (piece.strip() for piece in addresses.split(";")))
        _take_each(pieces, lambda piece: found.add(PciAddress.parse(piece)))

    _take_each(_entries(text), take)
    return {interface: frozenset(found) for interface, found in excluded.items()}


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """What an interface carries, in kbit/s as a guest sees it; None is not said."""

    egress_kbps: int | None = None
    ingress_kbps: int | None = None


def parse_bandwidths(
    text: str, mappings: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, Bandwidth]:
    """Read ``resource_provider_bandwidths``: ``ens1f0:10000000:10000000,ens2f0``.

    Either number may be empty; an interface alone says neither.

    Raises:
        Invalid: an entry of another shape, an interface that comes twice or is in no mapping.

    Source: neutron-lib ``placement/utils.py``, parse_rp_bandwidths.
    """
    bandwidths: dict[str, Bandwidth] = {}

    def take(entry: str) -> None:
        interface, *numbers = (piece.strip() for piece in entry.split(":"))
        well_formed = all(not number or _NUMBER.fullmatch(number) for number in numbers)
        if not interface or len(numbers) not in (0, 2) or not well_formed:
            raise Invalid(
                f"resource_provider_bandwidths {entry!r} is not INTERFACE:EGRESS:INGRESS "
                "with whole numbers of kbit/s"
            )
        _check_interface("resource_provider_bandwidths", interface, bandwidths, mappings)
        bandwidths[interface] = Bandwidth(*(int(n) if n else None for n in numbers))

    _take_each(_entries(text), take)
    return bandwidths


def parse_hypervisors(
    text: str, mappings: Mapping[str, tuple[str, ...]], default: str
) -> dict[str, str]:
    """Read ``resource_provider_hypervisors``: ``ens1f0:host-a``; all others belong to *default*.

    Raises:
        Invalid: an entry that is not INTERFACE:HOST, or an interface that comes twice or is in
            no mapping.

    Source: neutron-lib ``utils/helpers.py``, parse_mappings; neutron ``sriov_nic_agent.py``.
    """
    named = parse_named_hypervisors(text, mappings)
    interfaces = dict.fromkeys(name for names in mappings.values() for name in names)
    return {interface: named.get(interface, default) for interface in interfaces}


def parse_named_hypervisors(
    text: str, mappings: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, str]:
    """Read those alone that ``resource_provider_hypervisors`` names.

    Raises:
        Invalid: as ``parse_hypervisors``.
    """
    named: dict[str, str] = {}

    def take(entry: str) -> None:
        interface, *rest = (piece.strip() for piece in entry.split(":"))
        if not interface or len(rest) != 1 or not rest[0]:
            raise Invalid(f"resource_provider_hypervisors {entry!r} is not INTERFACE:HOST")
        _check_interface("resource_provider_hypervisors", interface, named, mappings)
        named[interface] = rest[0]

    _take_each(_entries(text), take)
    return named


@dataclass(frozen=True, slots=True)
class InventoryDefaults:
    """What bandwidth inventories have beside their total.

    Source: neutron-lib ``placement/utils.py``, parse_rp_inventory_defaults.
    """

    allocation_ratio: float = 1.0
    min_unit: int = 1
    step_size: int = 1
    reserved: int = 0
    max_unit: int | None = None


def parse_inventory_defaults(text: str) -> InventoryDefaults:
    """Read ``resource_provider_inventory_defaults``: ``allocation_ratio:1.0,reserved:0``.

    Raises:
        Invalid: an unknown key, one that comes twice, or a value that is not a number from 0 on
            (whole, but for the ratio).
    """
    values: dict[str, float] = {}

    def take(entry: str) -> None:
        name, _, number = (piece.strip() for piece in entry.partition(":"))
        shape = r"[0-9]{1,9}(\.[0-9]{1,9})?" if name == "allocation_ratio" else r"[0-9]{1,9}"
        known = name in InventoryDefaults.__dataclass_fields__
        if not known or name in values or not re.fullmatch(shape, number, re.ASCII):
            raise Invalid(
                f"resource_provider_inventory_defaults {entry!r} is not one of "
                f"{', '.join(InventoryDefaults.__dataclass_fields__)}, each once, with a number"
            )
        values[name] = float(number) if name == "allocation_ratio" else int(number)

    _take_each(_entries(text), take)
    return InventoryDefaults(**values)  # type: ignore[arg-type]  # whole where checked above


def check_interfaces(
    option: str, interfaces: Iterable[str], mappings: Mapping[str, tuple[str, ...]]
) -> None:
    """Check that each interface is in some mapping. Raises Invalid for the first that is not."""
    for interface in interfaces:
        _check_interface(option, interface, (), mappings)


def _entries(text: str) -> Iterator[str]:
    return filter(None, (piece.strip() for piece in text.split(",")))


def _take_each(pieces: Iterable[str], take: Callable[[str], None]) -> None:
    """Hand each piece to *take*. Raises Invalid: all that it refuses, not the first alone."""
    refused: list[Invalid] = []
    for piece in pieces:
        try:
            take(piece)
        except Invalid as error:
            refused.append(error)
    if refused:
        hints = dict.fromkeys(error.hint for error in refused if error.hint)
        raise Invalid("; ".join(map(str, refused)), hint="; ".join(hints))


def _check_interface(
    option: str,
    interface: str,
    seen: Container[str],
    mappings: Mapping[str, tuple[str, ...]] | None,
) -> None:
    if interface in seen:
        raise Invalid(f"{option} has {interface!r} twice", hint="join both entries to one")
    if mappings is not None and not any(interface in names for names in mappings.values()):
        raise Invalid(
            f"{option} has {interface!r}, which is in no physical_device_mappings",
            hint=f"add PHYSNET:{interface} there, or remove it here",
        )
