"""What a server or a port wants of the host's devices, and whether a device will do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.alias import Alias, NumaPolicy, find
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.flag import parse_flag
from lanekeeper.domain.pci.resource_class import resource_class_of, traits_of
from lanekeeper.domain.pci.vf_ability import VfAbility, lacking

_UNIT = re.compile(r"\s*([^:,]+):([0-9]{1,9})", re.ASCII)
COUNT_MAX = 65536
"""Functions that one PCI segment can hold; nobody can have more of one alias."""


class RequestSource(StrEnum):
    """Who asks: the flavor's alias, or a port."""

    FLAVOR = "flavor"
    PORT = "port"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One kind of device that would do; None leaves a property open.

    Attributes:
        dev_type: None takes anything but a whole PF.
        resource_class: the class under which the device must be counted.
        live_migratable: None takes either; devices that do not say are neither.
        physical_network: the network that a port is on, ``""`` for one without; None: not a port.
        trusted: what the port's profile says; None where it says nothing.
        abilities: what the driver of its PF must be able to set.
        interface: whether it has to be an interface of its host.
    """

    vendor_id: int | None = None
    product_id: int | None = None
    dev_type: DeviceType | None = None
    resource_class: str | None = None
    traits: frozenset[str] = frozenset()
    live_migratable: bool | None = None
    physical_network: str | None = None
    trusted: bool | None = None
    remote_managed: bool = False
    abilities: frozenset[VfAbility] = frozenset()
    interface: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRequest:
    """So many devices, each fitting one of the alternatives, of which earlier ones are preferred.

    It has no id: a port's claim is known by the port's, an alias's units get one each.
    """

    alias_name: str | None
    count: int
    alternatives: tuple[Alternative, ...]
    numa_policy: NumaPolicy = NumaPolicy.LEGACY
    source: RequestSource = RequestSource.FLAVOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What of a listed device decides whether it fits a request.

    Attributes:
        lacks: what the driver of a VF's PF is known not to set.
        interface: whether it can be an interface of its host, by a driver that is there.
    """

    vendor_id: int
    product_id: int
    dev_type: DeviceType
    resource_class: str
    traits: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    lacks: frozenset[VfAbility] = frozenset()
    interface: bool = True

    @classmethod
    def of(cls, device: PciDevice, tags: Mapping[str, str]) -> Self:
        """Take it from what the host saw and the tags of the entry that lists the device."""
        return cls.from_text(
            f"{device.vendor_id:x}", f"{device.product_id:x}", device.dev_type, tags
        )

    @classmethod
    def from_text(
        cls,
        vendor_id: str,
        product_id: str,
        dev_type: str,
        tags: Mapping[str, str],
        *,
        pf_driver: str | None = None,
        interface: bool = True,
    ) -> Self:
        """Take it from the wire's or a table's spelling: ids of hexadecimal digits."""
        vendor, product, kind = int(vendor_id, 16), int(product_id, 16), DeviceType(dev_type)
        return cls(
            vendor_id=vendor,
            product_id=product,
            dev_type=kind,
            resource_class=resource_class_of(vendor, product, kind, tags),
            traits=traits_of(tags),
            tags=tags,
            lacks=lacking(pf_driver),
            interface=interface,
        )

    @property
    def key(self) -> tuple[object, ...]:
        """All of it, to sort and to hash by: what has the same key fits the same requests."""
        return (
            *(self.vendor_id, self.product_id, self.dev_type, self.resource_class, self.interface),
            tuple(sorted(self.traits)),
            tuple(sorted(self.lacks)),
            tuple(sorted(self.tags.items())),
        )

    @property
    def physical_network(self) -> str | None:
        """The network that its ports are on, ``""`` for those without one; None: not for ports."""
        return self.tags.get("physical_network")

    @property
    def serves_aliases(self) -> bool:
        """Whether flavors may have it: not when it serves a network, unless it names a class."""
        return not self.physical_network or bool(self.tags.get("resource_class"))


def parse_alias_spec(text: str) -> tuple[tuple[str, int], ...]:
    """Read ``a1:2,b1:1``, a flavor's ``pci_passthrough:alias``, in its order.

    One name may come twice. A count of 0 asks for nothing.

    Raises:
        Invalid: not a list of NAME:COUNT; the piece that is wrong is named.

    Source: nova ``api/validation/extra_specs/pci_passthrough.py``, whose grammar this is, less the
        comma that it lets pass inside the first name and nobody can then resolve.
    """
    units = []
    *heads, last = text.split(",")
    # A blank may stand before or after a comma and at the very front, not at the end.
    for piece in (*(head.rstrip() for head in heads), last):
        found = _UNIT.fullmatch(piece)
        name = found[1].strip() if found else ""
        if found is None or not name or int(found[2]) > COUNT_MAX:
            raise Invalid(
                f"pci_passthrough:alias {text[:80]!r}: {piece[:80]!r} is not NAME:COUNT "
                f"with a COUNT of 0 to {COUNT_MAX}",
                hint='an example: "a1:2" or "a1:2,nvme:1"',
            )
        units.append((name, int(found[2])))
    return tuple(units)


def flavor_requests(
    aliases: Sequence[Alias],
    text: str | None,
    numa_policy: NumaPolicy | None = None,
    *,
    project_id: str | None = None,
) -> tuple[DeviceRequest, ...]:
    """Turn a flavor's ``pci_passthrough:alias`` into requests, in its order.

    Args:
        aliases: those that are configured.
        text: the extra spec; None where the flavor has none.
        numa_policy: what flavor or image say; it replaces the alias's own.
        project_id: who asks; None where nobody in particular does.

    Raises:
        Invalid: *text* cannot be read, or names an alias that is not defined.
        Forbidden: it names one that is for other projects.
    """
    if text is None:
        return ()
    return tuple(
        _alias_request(find(aliases, name, project_id), count, numa_policy)
        for name, count in parse_alias_spec(text)
    )


VF_VNIC_TYPES = frozenset({"direct", "macvtap", "virtio-forwarder"})
PF_VNIC_TYPES = frozenset({"direct-physical"})
REMOTE_VNIC_TYPES = frozenset({"remote-managed"})
INTERFACE_VNIC_TYPES = frozenset({"macvtap"})
"""Those whose VF stays an interface of its host."""
_TYPE_OF_VNIC = {
    **dict.fromkeys(VF_VNIC_TYPES | REMOTE_VNIC_TYPES),
    **dict.fromkeys(PF_VNIC_TYPES, DeviceType.PF),
    "vdpa": DeviceType.VDPA,
}
"""Which vnic types need a device, and of which type; None: a VF."""


def port_request(
    vnic_type: str,
    physical_network: str | None,
    *,
    others: Sequence[str] = (),
    trusted: object = None,
    numa_policy: NumaPolicy | None = None,
    abilities: frozenset[VfAbility] = frozenset(),
) -> DeviceRequest | None:
    """Say which device a port needs; None for vnic types that need none.

    Args:
        vnic_type: the port's ``binding:vnic_type``.
        physical_network: of the port's network; None for a tunnelled one.
        others: physical networks of its further segments, any of which would do.
        trusted: ``binding:profile`` ``trusted`` as given; None where it is absent.
        numa_policy: the port's own, else flavor's or image's.
        abilities: what has to be set on its VF and not every driver can; a whole PF needs none.

    Raises:
        Invalid: *trusted* is neither true nor false.

    Source: nova ``network/neutron.py``, create_resource_requests.
    """
    if vnic_type not in _TYPE_OF_VNIC:
        return None
    first = Alternative(
        dev_type=_TYPE_OF_VNIC[vnic_type],
        physical_network=physical_network or "",
        trusted=None if trusted is None else parse_flag(trusted, "binding:profile trusted"),
        remote_managed=vnic_type in REMOTE_VNIC_TYPES,
        abilities=abilities if vnic_type in VF_VNIC_TYPES else frozenset(),
        interface=vnic_type in INTERFACE_VNIC_TYPES,
    )
    return DeviceRequest(
        alias_name=None,
        count=1,
        alternatives=(first, *(replace(first, physical_network=name) for name in others)),
        numa_policy=numa_policy or NumaPolicy.LEGACY,
        source=RequestSource.PORT,
    )


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing for which a device will not do.

    Attributes:
        remedy: what would make it do; empty where it is another device that is needed.
    """

    reason: str
    remedy: str = ""


def matches(wanted: Alternative, offered: Offered) -> bool:
    return not any(True for _ in mismatches(wanted, offered))


def mismatches(wanted: Alternative, offered: Offered) -> Iterator[Mismatch]:
    """Say, one thing at a time, why the device will not do; nothing when it will."""
    if wanted.vendor_id not in (None, offered.vendor_id):
        yield Mismatch(f"vendor_id is {offered.vendor_id:04x}, not {wanted.vendor_id:04x}")
    if wanted.product_id not in (None, offered.product_id):
        yield Mismatch(f"product_id is {offered.product_id:04x}, not {wanted.product_id:04x}")
    yield from type_mismatches(wanted, offered)
    if wanted.physical_network is None:
        yield from _alias_mismatches(wanted, offered)
    else:
        yield from _port_mismatches(wanted, offered)
    if wanted.remote_managed != (offered.tags.get("remote_managed") == "true"):
        yield Mismatch(
            "it is remote_managed" if not wanted.remote_managed else "it is not remote_managed"
        )


def _tag(key: str, value: str) -> str:
    return f'put "{key}": "{value}" into its device_spec entry'


def type_mismatches(wanted: Alternative, offered: Offered) -> Iterator[Mismatch]:
    """Say why a device of this type will not do, whatever its ids and tags are."""
    if wanted.dev_type is None and offered.dev_type is DeviceType.PF:
        yield Mismatch("it is a whole PF, which is given only when asked for by type-PF")
    elif wanted.dev_type is None and offered.dev_type is DeviceType.VDPA:
        yield Mismatch("it is a vDPA device, which is given only to ports of type vdpa")
    elif (
        wanted.dev_type is None
        and wanted.physical_network is not None
        and offered.dev_type is DeviceType.PCI
    ):
        yield Mismatch("it is no VF, and a port's MAC and VLAN are set through the PF of one")
    elif wanted.dev_type not in (None, offered.dev_type):
        yield Mismatch(f"it is {offered.dev_type}, not {wanted.dev_type}")


def _alias_mismatches(wanted: Alternative, offered: Offered) -> Iterator[Mismatch]:
    asked_class = wanted.resource_class
    if not offered.serves_aliases:
        yield Mismatch(
            f"it serves ports on {offered.physical_network}",
            _tag("resource_class", asked_class or "CUSTOM_…"),
        )
    if asked_class not in (None, offered.resource_class):
        yield Mismatch(
            f"it is counted as {offered.resource_class}, not {asked_class}",
            _tag("resource_class", str(asked_class)),
        )
    if missing := sorted(wanted.traits - offered.traits):
        yield Mismatch(
            f"it lacks the trait {', '.join(missing)}",
            f'put {", ".join(missing)} into the "traits" of its device_spec entry',
        )
    if wanted.live_migratable is not None:
        asked = "true" if wanted.live_migratable else "false"
        if offered.tags.get("live_migratable") != asked:
            yield Mismatch(
                f"it is not marked live_migratable {asked}", _tag("live_migratable", asked)
            )


def _port_mismatches(wanted: Alternative, offered: Offered) -> Iterator[Mismatch]:
    network, asked_network = offered.physical_network, wanted.physical_network or ""
    if network is None:
        yield Mismatch(
            "its device_spec entry names no physical_network, so it serves no ports",
            _tag("physical_network", asked_network),
        )
    # Nova compares these names without regard to case.
    elif network.casefold() != asked_network.casefold():
        yield Mismatch(
            f"it is on physical network {network or '(none)'}, not {asked_network or '(none)'}"
        )
    if wanted.trusted is not None:
        asked = "true" if wanted.trusted else "false"
        if offered.tags.get("trusted", "false") != asked:
            yield Mismatch(f"it is not marked trusted {asked}", _tag("trusted", asked))
    if wanted.interface and not offered.interface:
        yield Mismatch(
            "it cannot be an interface of its host, which a macvtap stands on: the host has no "
            "driver for it loaded, or has to give it away together with others",
            "load the driver of the card's VFs there (for an 82576: modprobe igbvf), or use a port "
            "of vnic type direct",
        )
    for ability in sorted(wanted.abilities & offered.lacks):
        yield Mismatch(
            f"its PF's driver cannot set {ability}",
            "ask the port for less (its admin state, its uplink status, its QoS rules), or add a "
            "card whose driver can",
        )


def _alias_request(
    alternatives: tuple[Alias, ...], count: int, numa_policy: NumaPolicy | None
) -> DeviceRequest:
    first = alternatives[0]
    return DeviceRequest(
        alias_name=first.name,
        count=count,
        alternatives=tuple(
            Alternative(
                vendor_id=alias.vendor_id,
                product_id=alias.product_id,
                dev_type=alias.dev_type,
                resource_class=alias.resource_class,
                traits=alias.traits,
                live_migratable=alias.live_migratable,
            )
            for alias in alternatives
        ),
        numa_policy=numa_policy or first.numa_policy,
    )
