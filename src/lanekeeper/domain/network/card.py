"""The cards of a server as its flavor and image want them: of which kind, and as what a guest sees
those that are emulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from lanekeeper.domain.errors import Forbidden, Invalid
from lanekeeper.domain.network.port import VnicType

VNIC_TYPE_SPEC = "hw:vif_vnic_type"
VNIC_TYPE_PROPERTY = "hw_vif_vnic_type"
"""The kind of the ports that are made for a server; Lanekeeper's own, Nova has none."""
MODEL_PROPERTY = "hw_vif_model"

MADE = (VnicType.NORMAL, VnicType.DIRECT, VnicType.MACVTAP, VnicType.DIRECT_PHYSICAL)
"""Kinds of ports that can be made for a server: those that hosts carry."""


EMULATED = frozenset({VnicType.NORMAL, VnicType.MACVTAP})
"""Kinds of ports that a guest sees as a card that is emulated, of a model."""


class VifModel(StrEnum):
    """What QEMU emulates as a card, in a guest of x86.

    Source: nova ``virt/libvirt/vif.py``, SUPPORTED_VIF_MODELS for kvm, less ``spapr-vlan``, which
    machines of POWER have.
    """

    VIRTIO = "virtio"
    E1000 = "e1000"
    E1000E = "e1000e"
    IGB = "igb"
    NE2K_PCI = "ne2k_pci"
    PCNET = "pcnet"
    RTL8139 = "rtl8139"
    VMXNET3 = "vmxnet3"


_OF_VMWARE = {
    "virtuale1000": VifModel.E1000,
    "virtuale1000e": VifModel.E1000E,
    "virtualpcnet32": VifModel.PCNET,
    "virtualvmxnet3": VifModel.VMXNET3,
}
"""vSphere's names of the same cards. Source: nova ``objects/fields.py``, VIFModel."""

_EXPRESS = frozenset({VifModel.VIRTIO, VifModel.E1000E, VifModel.IGB})
"""Models that go into a PCIe root port. Source: libvirt ``src/qemu/qemu_domain_address.c``,
qemuDomainDeviceCalculatePCIConnectFlags."""


def parse_made(text: str, what: str) -> VnicType:
    """Read the kind of ports to make; *what* is the key that says it.

    Raises:
        Invalid: no kind that a host carries.
    """
    if text not in MADE:
        raise Invalid(
            f"{what} {text[:40]!r} is none of {', '.join(MADE)}, which are the vnic types that "
            "hosts carry"
        )
    return VnicType(text)


def made_vnic_type(
    specs: Mapping[str, str], properties: Mapping[str, str], default: VnicType
) -> VnicType:
    """Return of which kind the ports are that are made for a server of such a flavor and image.

    Raises:
        Forbidden: flavor and image ask for different ones.
        Invalid: one asks for a kind that no host carries.
    """
    flavor, image = specs.get(VNIC_TYPE_SPEC), properties.get(VNIC_TYPE_PROPERTY)
    if flavor is not None and image is not None and flavor != image:
        raise Forbidden(
            f"The image property {VNIC_TYPE_PROPERTY} {image[:40]!r} and the flavor's "
            f"{VNIC_TYPE_SPEC} {flavor[:40]!r} differ: set one of them only, or both alike"
        )
    if flavor is not None:
        return parse_made(flavor, VNIC_TYPE_SPEC)
    return default if image is None else parse_made(image, VNIC_TYPE_PROPERTY)


def vif_model(properties: Mapping[str, str]) -> VifModel:
    """Return as what the image wants its guest to see cards that are emulated.

    Letters may be large or small, and vSphere's names are taken, as Nova does.

    Raises:
        Invalid: the guest's machine has no such card.
    """
    text = properties.get(MODEL_PROPERTY, VifModel.VIRTIO)
    name = text.lower()
    try:
        return _OF_VMWARE.get(name) or VifModel(name)
    except ValueError as error:
        raise Invalid(
            f"the image has {MODEL_PROPERTY}={text[:40]!r}, which no normal or macvtap port can be "
            f"here; "
            f"it is none of {', '.join(VifModel)}",
            hint="set another on the image, or use a port of type direct, which has no model",
        ) from error


def is_hot_pluggable(model: VifModel) -> bool:
    """Whether a guest can be given such a card while it runs: its spare slots are PCIe's."""
    return model in _EXPRESS
