"""Segments: the piece of a physical network that a network is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.vlan import VLAN_MAX, VLAN_MIN


class NetworkType(StrEnum):
    """Kinds of segment that OpenStack knows; Lanekeeper makes flat and vlan ones.

    Source: neutron-lib ``constants.py``, TYPE_*.
    """

    FLAT = "flat"
    VLAN = "vlan"
    LOCAL = "local"
    VXLAN = "vxlan"
    GRE = "gre"
    GENEVE = "geneve"


OFFERED = (NetworkType.FLAT, NetworkType.VLAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment of a network.

    Attributes:
        physical_network: set for flat and vlan.
        segmentation_id: the VLAN id; None for flat.
    """

    id: str
    network_type: NetworkType
    physical_network: str | None = None
    segmentation_id: int | None = None
    name: str | None = None
    description: str | None = None

    @property
    def vlan(self) -> int:
        """The VLAN id that a VF is given, 0 for untagged."""
        return (self.segmentation_id or 0) if self.network_type is NetworkType.VLAN else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentWanted:
    """What a request says of a segment; None where it leaves the choice to us."""

    network_type: str | None = None
    physical_network: str | None = None
    segmentation_id: int | None = None
    name: str | None = None
    description: str | None = None

    @property
    def is_blank(self) -> bool:
        return self == SegmentWanted()


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRules:
    """What the configuration lets networks be.

    Attributes:
        network_types: those that may be made.
        physical_networks: all that are known, by configuration or by a host's word.
        flat_networks: those that may be used untagged; ``*`` stands for all.
    """

    network_types: tuple[str, ...]
    physical_networks: frozenset[str]
    flat_networks: tuple[str, ...] = ("*",)


def physical_segment(segments: Iterable[Segment]) -> Segment | None:
    """The first segment on a physical network, where a device can be put; None without one.

    Source: nova ``network/neutron.py``, _get_physnet_tunneled_info.
    """
    return next((one for one in segments if one.physical_network is not None), None)


def physical_networks_of(segments: Iterable[Segment]) -> tuple[str, ...]:
    """The physical networks on any of which a device would do, each once, in order.

    Unlike with Nova, which takes the first segment's alone.
    """
    names = (one.physical_network for one in segments)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def segments_of_device(
    segments: Sequence[Segment], physical_network: str | None
) -> tuple[Segment, ...]:
    """The segments that a device reaches which is tagged with *physical_network*.

    Names are compared as requests for devices are, without regard to case.
    """
    name = (physical_network or "").casefold()
    return tuple(one for one in segments if (one.physical_network or "").casefold() == name)


def check_segment(wanted: SegmentWanted, rules: SegmentRules) -> None:
    """Refuse a segment that cannot be made.

    A vlan segment may leave out its physical network, its VLAN id, or both; but an id needs a
    physical network to be an id of.

    Raises:
        Invalid: code InvalidInput; the message names the field and what would be right.
    """
    types = ", ".join(rules.network_types)
    if wanted.network_type is None:
        raise _wrong(f"provider:network_type is missing; it is one of {types}")
    if wanted.network_type not in rules.network_types:
        raise _wrong(
            f"provider:network_type {wanted.network_type!r} is not supported; it is one of {types}"
        )
    if wanted.physical_network is not None:
        _check_physical_network(wanted.physical_network, rules.physical_networks)
    if wanted.network_type == NetworkType.FLAT:
        _check_flat(wanted, rules)
    elif wanted.segmentation_id is not None:
        check_vlan(wanted.segmentation_id)
        if wanted.physical_network is None:
            raise _wrong("provider:segmentation_id needs provider:physical_network beside it")


def check_segments(wanted: Collection[SegmentWanted]) -> None:
    """Refuse a list of segments that nobody can make a network of.

    Raises:
        Invalid: codes SegmentsContainDuplicateEntry; InvalidInput, there is none.

    Source: neutron-lib ``exceptions/multiprovidernet.py``.
    """
    if not wanted:
        raise _wrong("segments is empty; leave it out to have a segment drawn")
    if len(wanted) > 1 and any(one.network_type is None for one in wanted):
        raise _wrong("provider:network_type is missing in one of segments")
    named = [one for one in wanted if one.segmentation_id is not None or one.network_type == "flat"]
    if len(set(named)) != len(named):
        raise Invalid(
            "Duplicate segment entry in request: each of segments must be another",
            code="SegmentsContainDuplicateEntry",
        )


def check_vlan(vlan: int) -> None:
    """Refuse what is not a VLAN id.

    Raises:
        Invalid: code InvalidInput; outside 1..4094.
    """
    if not VLAN_MIN <= vlan <= VLAN_MAX:
        raise _wrong(f"provider:segmentation_id {vlan} is not in {VLAN_MIN}..{VLAN_MAX}")


def _check_physical_network(name: str, known: Collection[str]) -> None:
    if name not in known:
        names = ", ".join(sorted(known)) or "none is configured"
        raise _wrong(f"provider:physical_network {name!r} is unknown; there are: {names}")


def _check_flat(wanted: SegmentWanted, rules: SegmentRules) -> None:
    if wanted.physical_network is None:
        raise _wrong("provider:physical_network is missing; a flat network needs it")
    if wanted.segmentation_id is not None:
        raise _wrong("provider:segmentation_id must be left out of a flat network")
    allowed = rules.flat_networks
    if "*" not in allowed and wanted.physical_network not in allowed:
        raise _wrong(
            f"provider:physical_network {wanted.physical_network!r} may not be used untagged; "
            f"flat_networks allows: {', '.join(allowed) or 'none'}"
        )


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="InvalidInput")
