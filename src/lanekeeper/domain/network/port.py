"""Ports: what one is, and who may hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from lanekeeper.domain.network.promise import NOTHING, Promise
from lanekeeper.domain.network.qos import QosRule
from lanekeeper.domain.network.segment import Segment, physical_segment


class VnicType(StrEnum):
    """How a port is joined to a guest. Source: neutron-lib ``api/definitions/portbindings.py``."""

    NORMAL = "normal"
    DIRECT = "direct"
    MACVTAP = "macvtap"
    BAREMETAL = "baremetal"
    DIRECT_PHYSICAL = "direct-physical"
    VIRTIO_FORWARDER = "virtio-forwarder"
    SMART_NIC = "smart-nic"
    VDPA = "vdpa"
    ACCELERATOR_DIRECT = "accelerator-direct"
    ACCELERATOR_DIRECT_PHYSICAL = "accelerator-direct-physical"
    REMOTE_MANAGED = "remote-managed"


class VifType(StrEnum):
    """What a port became on its host. Source: neutron-lib ``portbindings.py``."""

    UNBOUND = "unbound"
    FAILED = "binding_failed"
    HW_VEB = "hw_veb"
    HOSTDEV_PHYSICAL = "hostdev_physical"
    OVS = "ovs"


STANDBY = "standby"
"""The key of vif_details for the card of a virtual switch that stands by for a VF; our own."""


class PortStatus(StrEnum):
    """DOWN until a server takes the port, BUILD until its guest runs, then ACTIVE."""

    DOWN = "DOWN"
    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"


SERVER_OWNER = "compute:"
"""What the device_owner of a server's port begins with; an availability zone follows."""
NETWORK_OWNER = "network:"
"""What the device_owner of a port begins with that serves its network."""


@dataclass(frozen=True, slots=True)
class FixedIp:
    """One address of a port."""

    subnet_id: str
    ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedIpWanted:
    """One entry of ``fixed_ips`` in a request; at least one of the two is set."""

    subnet_id: str | None = None
    ip: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortWanted:
    """What a request says of a new port, checked for its types only; None leaves it to us.

    Attributes:
        fixed_ips: None for one of each family, empty for none.
        security_groups: None for the project's default group.
        port_security_enabled: None for what the network says.
    """

    network_id: str
    project_id: str | None = None
    name: str = ""
    description: str = ""
    mac: str | None = None
    admin_state_up: bool = True
    vnic_type: VnicType = VnicType.NORMAL
    fixed_ips: tuple[FixedIpWanted, ...] | None = None
    device_id: str = ""
    device_owner: str = ""
    host_name: str = ""
    profile: Mapping[str, Any] = field(default_factory=dict)
    port_security_enabled: bool | None = None
    propagate_uplink_status: bool = True
    trusted: bool | None = None
    numa_affinity_policy: str | None = None
    qos_policy_id: str | None = None
    allowed_address_pairs: tuple[Mapping[str, str], ...] = ()
    security_groups: tuple[str, ...] | None = None
    extra_dhcp_opts: tuple[Mapping[str, Any], ...] = ()
    created_by_server: bool = False
    tags: tuple[str, ...] = ()

    def is_secured(self, *, on_network: bool) -> bool:
        """Whether it is guarded; what serves a network sends in the names of others.

        Source: neutron ``db/portsecurity_db.py``, _determine_port_security.
        """
        if self.device_owner.startswith(NETWORK_OWNER):
            return False
        secured = self.port_security_enabled
        return on_network if secured is None else secured


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRecord:
    """A port with what its network says of it. A fact, never edited.

    Attributes:
        device_id: the server that holds the port, empty when nobody does.
        mac: lower case with colons.
        profile: ``binding:profile`` as stored; ``trusted`` may stand there, too, as any text.
        trusted: the port's own attribute, None when never said. See ``is_trusted``.
        binding_failure: why ``vif_type`` is binding_failed; else empty.
        segment_id: of its network, on which it is bound; None while it is not.
        data_plane_status: what something outside says of the fabric below it; changes nothing.
        created_by_server: made for a server that was given a network; goes with the server.
        qos_rules: of its own policy, else of its network's.
        bandwidth_provider_id: whose bandwidth it holds; None while it holds none.
        held: how much of it, which is what its rules promise unless that changes just now.
        segments: those of its network, in order.
        mtu: of its network, bytes.
    """

    id: str
    project_id: str
    network_id: str
    network_name: str
    mac: str
    mtu: int
    created_at: datetime
    updated_at: datetime
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    status: PortStatus = PortStatus.DOWN
    vnic_type: VnicType = VnicType.NORMAL
    fixed_ips: tuple[FixedIp, ...] = ()
    segments: tuple[Segment, ...] = ()
    device_id: str = ""
    device_owner: str = ""
    host_name: str = ""
    profile: Mapping[str, Any] = field(default_factory=dict)
    vif_type: VifType = VifType.UNBOUND
    vif_details: Mapping[str, Any] = field(default_factory=dict)
    binding_failure: str = ""
    segment_id: str | None = None
    port_security_enabled: bool = True
    propagate_uplink_status: bool = True
    trusted: bool | None = None
    numa_affinity_policy: str | None = None
    data_plane_status: str | None = None
    qos_policy_id: str | None = None
    qos_network_policy_id: str | None = None
    qos_rules: tuple[QosRule, ...] = ()
    bandwidth_provider_id: str | None = None
    held: Promise = NOTHING
    allowed_address_pairs: tuple[Mapping[str, str], ...] = ()
    security_groups: tuple[str, ...] = ()
    extra_dhcp_opts: tuple[Mapping[str, Any], ...] = ()
    created_by_server: bool = False
    tags: tuple[str, ...] = ()
    revision: int = 1

    @property
    def segment(self) -> Segment | None:
        """Where it is bound, else where a VF can be put first; None where none can be."""
        bound = (one for one in self.segments if one.id == self.segment_id)
        return next(bound, None) or physical_segment(self.segments)

    @property
    def physical_network(self) -> str | None:
        return self.segment.physical_network if self.segment else None

    @property
    def segmentation_id(self) -> int | None:
        return self.segment.segmentation_id if self.segment else None

    @property
    def vlan(self) -> int:
        """The VLAN id that the VF is given, 0 for an untagged network."""
        return self.segment.vlan if self.segment else 0

    @property
    def is_trusted(self) -> bool:
        """Whether the guest may change MAC and mode: the attribute, else the profile's word.

        Source: nova ``virt/libvirt/vif.py`` reads the profile's with bool_from_string, not strict.
        """
        if self.trusted is not None:
            return self.trusted
        return is_true(self.profile.get("trusted", False))

    @property
    def switching(self) -> Mapping[str, Any]:
        """What its binding says of a card on a virtual switch; empty where it has none there."""
        if self.vif_type == VifType.OVS:
            return self.vif_details
        return self.vif_details.get(STANDBY) or {}

    @property
    def is_pair(self) -> bool:
        """Whether it is bound to a VF with a card of a virtual switch beside it (``failover``)."""
        return self.is_switched and self.vif_type is not VifType.OVS

    @property
    def is_switched(self) -> bool:
        """Whether it is bound to a virtual switch, alone or beside a VF (``failover``)."""
        return bool(self.switching)

    @property
    def bridge(self) -> str:
        """The virtual switch that it is bound to; empty for none."""
        return str(self.switching.get("bridge_name", ""))

    @property
    def is_filtered(self) -> bool:
        """Whether its host has flows for ports like it, where it is bound to a virtual switch."""
        return bool(self.switching.get("port_filter"))

    @property
    def is_guarded(self) -> bool:
        """Whether flows say what may pass it."""
        return self.is_filtered and self.port_security_enabled

    @property
    def guarded_by(self) -> str | None:
        """What guards a port of a virtual switch: flows; or who is not asked to: nobody, or its
        host, which guards none. None where it is on no virtual switch.
        """
        if not self.is_switched:
            return None
        if not self.port_security_enabled:
            return "nobody"
        return "flows" if self.is_filtered else "host"

    @property
    def is_bound(self) -> bool:
        return self.vif_type not in (VifType.UNBOUND, VifType.FAILED)


def is_true(value: object) -> bool:
    """Read what a profile holds: JSON booleans, and the texts that oslo.utils takes for true."""
    return str(value).strip().lower() in {"1", "t", "true", "on", "y", "yes"}
