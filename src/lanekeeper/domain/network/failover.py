"""Failover pairs: a port that gives its guest a VF, and a virtio card that stands by for it.

The two have one MAC, by which the guest's kernel joins them to one interface: it sends by the VF
while that has a link, and by the other card else.

Source: Linux ``Documentation/networking/net_failover.rst``; libvirt ``docs/formatdomain.rst``,
teaming.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.card import MODEL_PROPERTY, VifModel, vif_model
from lanekeeper.domain.network.port import VnicType, is_true
from lanekeeper.domain.pci.flag import parse_flag

KEY = "failover"
"""The key of ``binding:profile`` that asks for one; Lanekeeper's own."""


def is_pair(vnic_type: VnicType, profile: Mapping[str, Any]) -> bool:
    """Whether a port is a failover pair."""
    return vnic_type is VnicType.DIRECT and is_true(profile.get(KEY, False))


def check_failover(vnic_type: VnicType, profile: Mapping[str, Any]) -> None:
    """Refuse a profile that asks for a pair where there can be none.

    Raises:
        Invalid: the key is neither true nor false, or the port is no VF.
    """
    if KEY not in profile or not parse_flag(profile[KEY], f"binding:profile {KEY}"):
        return
    if vnic_type is not VnicType.DIRECT:
        raise Invalid(
            f"binding:profile {KEY} is true, and the port is of vnic type {vnic_type}: what "
            "another card stands by for is a VF",
            hint=f"create the port with --vnic-type direct, or leave {KEY} out of the profile",
        )


def check_pair(
    what: str, physical_networks: tuple[str, ...], properties: Mapping[str, str]
) -> None:
    """Refuse a pair, *what*, that no host could give to a guest of an image with *properties*.

    Raises:
        Invalid: its two cards could be on different networks, or the image wants another model.
    """
    if len(physical_networks) > 1:
        raise Invalid(
            f"{what} is a failover pair, and its network is on several physical networks "
            f"({', '.join(physical_networks)}): VF and bridge have to be on one",
            hint="use a network on one physical network",
        )
    model = vif_model(properties)
    if model is not VifModel.VIRTIO:
        raise Invalid(
            f"{what} is a failover pair, and the image has {MODEL_PROPERTY}={model}: only a virtio "
            "card stands by for a VF",
            hint=f"unset {MODEL_PROPERTY} on the image, or take failover out of the port's profile",
        )
