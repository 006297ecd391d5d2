"""``binding:profile``: what is said there of the device that serves a port.

Source: nova ``network/neutron.py``, _get_pci_device_profile and _unbind_ports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lanekeeper.domain.network.apart import check_apart
from lanekeeper.domain.network.failover import check_failover
from lanekeeper.domain.network.port import VnicType
from lanekeeper.domain.pci.device import DeviceType

LENGTH_MAX = 4095
"""Characters of JSON. Source: neutron ``plugins/ml2/models.py``, BINDING_PROFILE_LEN."""

OURS = frozenset(
    {
        "pci_vendor_info",
        "pci_slot",
        "physical_network",
        "card_serial_number",
        "vf_num",
        "pf_mac_address",
        "device_mac_address",
        "allocation",
        "arq_uuid",
    }
)
"""Keys that binding writes and unbinding takes away; all others are the user's."""


def check_profile(vnic_type: VnicType, profile: Mapping[str, Any]) -> None:
    """Refuse what a user asks for there and no port of this vnic type can be.

    Raises:
        Invalid: of ``failover`` or ``apart``, as those say.
    """
    check_failover(vnic_type, profile)
    check_apart(vnic_type, profile)


def binding_profile(
    *,
    address: str,
    vendor_id: str,
    product_id: str,
    dev_type: str,
    physical_network: str | None,
    serial: str | None = None,
    vf_index: int | None = None,
    pf_mac: str | None = None,
    mac: str | None = None,
    capabilities: Sequence[str] = (),
    allocation: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Describe the device that serves a port, as Nova would.

    *physical_network* is the tag of the device_spec entry and always present in the answer;
    *serial*, *vf_index* and *pf_mac* count for VFs, *mac* for PFs, each when known. *allocation* is
    the port's request group to the provider whose bandwidth it holds.
    """
    profile: dict[str, Any] = {
        "pci_vendor_info": f"{vendor_id}:{product_id}",
        "pci_slot": address,
        "physical_network": physical_network,
    }
    if dev_type == DeviceType.VF:
        known = {"card_serial_number": serial, "pf_mac_address": pf_mac, "vf_num": vf_index}
        profile |= {key: value for key, value in known.items() if value is not None}
        if capabilities:
            profile["capabilities"] = list(capabilities)
    elif dev_type == DeviceType.PF and mac is not None:
        profile["device_mac_address"] = mac
    if allocation:
        profile["allocation"] = dict(allocation)
    return profile


def profile_of(
    device: Mapping[str, Any], allocation: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """``binding_profile`` of a device as the store tells of one (``device_facts``)."""
    return binding_profile(
        address=device["address"],
        vendor_id=device["vendor_id"],
        product_id=device["product_id"],
        dev_type=device["dev_type"],
        physical_network=device["physical_network"],
        serial=device["serial"],
        vf_index=device["vf_index"],
        pf_mac=device["pf_mac"],
        mac=device["mac"],
        allocation=allocation,
    )


def users_part(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Leave what the user wrote, without the keys of a binding."""
    return {key: value for key, value in profile.items() if key not in OURS}
