"""Bindings of one port: the host where it is, and those where it may go.

The ACTIVE one is what the port itself says of its binding; the others are INACTIVE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.port import SERVER_OWNER, PortRecord, PortStatus, VifType, VnicType


class BindingStatus(StrEnum):
    """Source: neutron-lib ``constants.py``, PORT_BINDING_STATUSES."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBinding:
    """A port on one host. A fact, never edited.

    Attributes:
        host_name: empty for the ACTIVE one of a port that is nowhere.
        failure: why ``vif_type`` is binding_failed; else empty.
        segment_id: of the port's network, on which it is bound; None while it is not.
    """

    host_name: str
    status: BindingStatus = BindingStatus.INACTIVE
    vnic_type: VnicType = VnicType.NORMAL
    profile: Mapping[str, Any] = field(default_factory=dict)
    vif_type: VifType = VifType.UNBOUND
    vif_details: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""
    segment_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingChange:
    """What a request says of a binding; None leaves it as it is."""

    host_name: str | None = None
    vnic_type: VnicType | None = None
    profile: Mapping[str, Any] | None = None


def active_binding(port: PortRecord) -> PortBinding:
    """What the port itself says."""
    return PortBinding(
        host_name=port.host_name,
        status=BindingStatus.ACTIVE,
        vnic_type=port.vnic_type,
        profile=port.profile,
        vif_type=port.vif_type,
        vif_details=port.vif_details,
        failure=port.binding_failure,
        segment_id=port.segment_id,
    )


def as_if_on(port: PortRecord, binding: PortBinding) -> PortRecord:
    """The port as it would be with a binding that is not decided yet, for ``bind`` to decide."""
    return replace(
        port,
        host_name=binding.host_name,
        vnic_type=binding.vnic_type,
        profile=binding.profile,
        vif_type=VifType.UNBOUND,
        vif_details={},
        binding_failure="",
        segment_id=None,
        status=PortStatus.DOWN,
    )


def check_server_port(port: PortRecord) -> None:
    """Refuse a port that no server has: only servers move.

    Raises:
        Invalid: code BadRequest.

    Source: neutron ``plugins/ml2/plugin.py``, _validate_port_supports_multiple_bindings.
    """
    if not port.device_owner.startswith(SERVER_OWNER):
        raise Invalid(
            f"Bad port request: Invalid port {port.id}. Operation only valid on compute ports; its "
            f"device_owner is {port.device_owner or 'empty'}",
            code="BadRequest",
        )
