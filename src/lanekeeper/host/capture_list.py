"""Which files of a host a capture keeps. Order here is order in the text."""

from __future__ import annotations

import re

from lanekeeper.domain.hostplan.persistence import UNIT_LINK, WRITTEN
from lanekeeper.host.text_line import BOOT_FILES, BOOT_WORDS, LIMIT_FILES, LIMIT_WORDS
from lanekeeper.host.vf_count import COUNTS_BEHIND

_DEVICE = frozenset(
    "uevent vendor device class revision subsystem_vendor subsystem_device numa_node enable "  # noqa: SIM905
    "driver_override boot_vga reset reset_method resource max_link_speed current_link_speed "
    "max_link_width current_link_width aer_dev_correctable aer_dev_fatal aer_dev_nonfatal "
    "sriov_totalvfs sriov_numvfs sriov_offset sriov_stride sriov_vf_device "
    "sriov_drivers_autoprobe ari_enabled subordinate_bus_number config vpd label acpi_index "
    "driver iommu_group physfn".split()
)
_INTERFACE = frozenset(
    "address ifindex operstate carrier mtu speed flags type dev_port phys_port_name "  # noqa: SIM905
    "phys_switch_id device master".split()
)
_MODULES = (
    *("vfio*", "iommufd", "kvm*", "intel_iommu", "iommu*"),
    *("igb*", "ixgbe*", "i40e*", "ice*", "mlx5*", "nvme*", "nvidia*"),
)

DEEP = (
    ("sys/devices/pci*", re.compile(r"/[0-9a-f]{4,8}(:[0-9a-f]{2}){2}\.[0-7]$"), _DEVICE),
    ("sys/devices/*", re.compile(r"/net/[^/]+$"), _INTERFACE),
)
"""Walks: below which directories, in which of theirs, which names. Links are not followed."""

DEEP_LINKS = re.compile(r"^(virtfn\d+|lower_.+|upper_.+)$")
"""Links kept wherever a walk meets them."""

KEPT = (
    "proc/cmdline",
    "proc/cpuinfo",
    "proc/meminfo",
    "proc/modules",
    "proc/version",
    "proc/interrupts",
    "proc/self/mounts",
    "proc/swaps",
    "proc/net/route",
    "proc/net/ipv6_route",
    "proc/net/if_inet6",
    "sys/bus/pci/devices/*",
    "sys/bus/pci/drivers/*",
    "sys/bus/pci/drivers/*/*:*:*.?",
    "sys/bus/pci/drivers_probe",
    "sys/bus/pci/drivers_autoprobe",
    "sys/bus/pci/slots/*/address",
    "sys/class/net/*",
    "sys/class/block/*",
    "sys/dev/block/*",
    "sys/devices/virtual/block/dm-*/dm/name",
    "sys/devices/virtual/block/*/slaves/*",
    "sys/class/iommu/*",
    "sys/devices/virtual/iommu/*/*-iommu/*",
    "sys/fs/btrfs/*/devices/*",
    "sys/kernel/iommu_groups",
    "sys/kernel/iommu_groups/*/type",
    "sys/kernel/iommu_groups/*/reserved_regions",
    "sys/kernel/iommu_groups/*/devices/*",
    "sys/firmware/acpi/tables/DMAR",
    "sys/firmware/acpi/tables/IVRS",
    "sys/kernel/security/lockdown",
    "sys/firmware/efi/efivars/SecureBoot-*",
    "sys/class/dmi/id/sys_vendor",
    "sys/class/dmi/id/product_name",
    "sys/devices/virtual/net/*/bonding",
    "sys/devices/virtual/net/*/bridge",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/cpu*/topology/physical_package_id",
    "sys/devices/system/cpu/cpu*/topology/thread_siblings_list",
    "sys/devices/system/node/node*/cpulist",
    "sys/devices/system/node/node*/meminfo",
    "sys/devices/system/node/node*/distance",
    "sys/devices/system/node/node*/hugepages/*/*_hugepages",
    "sys/module/*",
    *(f"sys/module/{name}/parameters/*" for name in _MODULES),
    "dev/kvm",
    "dev/vfio/*",
    "etc/os-release",
    "usr/lib/os-release",
    "etc/hostname",
    "etc/default/grub",
    "etc/default/grub.d/*",
    "etc/kernel/cmdline",
    "etc/grub.d/10_linux",
    "etc/grub.d/11_lanekeeper",
    "boot/grub*/grubenv",
    "boot/*/loader/entries/*.conf",
    "boot/loader/entries/*.conf",
    "efi/loader/entries/*.conf",
    "boot/efi/EFI/*/grubenv",
    *(f"{home}EFI/Linux/*.efi" for home in ("boot/", "efi/", "boot/efi/")),
    "run/ostree-booted",
    "sys/firmware/efi",
    "sys/firmware/efi/efivars/LoaderInfo-*",
    "usr/sbin/grubby",
    "usr/bin/grubby",
    "sbin/grubby",
    "etc/modprobe.d/*",
    "etc/modules-load.d/*",
    *WRITTEN,
    UNIT_LINK,
    "usr/lib/systemd/systemd",
    "usr/sbin/update-grub",
    "usr/sbin/update-initramfs",
    "usr/bin/dracut",
    "usr/sbin/dracut",
    "lib/modules/*/kernel/drivers/vfio/*",
    "lib/modules/*/kernel/drivers/vfio/pci/*",
)

_MENU_WORDS = re.compile(r"^\s*linux(16|efi)?\s|configfile")
_MAKER_WORDS = re.compile(r"^#!|etc/default/grub\.d")

MENU_LINES_KEPT = (
    *((f"boot/{home}/grub.cfg", _MENU_WORDS) for home in ("grub", "grub2", "efi/EFI/*")),
    *((f"usr/{home}/grub*-mkconfig", _MAKER_WORDS) for home in ("sbin", "bin")),
)
"""GRUB's menus and the scripts that make them: what becomes of its settings."""

_COUNTS_OF = {
    "etc/udev": r"\\$",
    "etc/modprobe.d": r"\\$",
    "etc/systemd/network": r"^\[|^(Permanent)?MACAddress=|^(OriginalName|Path|Driver)=",
    "etc/NetworkManager": r"^\[|^(uuid|interface-name|mac-address|driver|path)=",
    "etc/sysconfig": r"^(DEVICE|HWADDR)=",
    "etc/netplan": (
        r"^\s*[\"']?[\w.:@-]+[\"']?:\s*(\{\s*)?(#|$)|^\s*[\"']?(match|name|macaddress|driver)[\"']?:"
        r"|^\s*-\s+[\"']?[A-Za-z][\w*?\[\]-]*[\"']?\s*$"
    ),
}
"""Lines that say which PF a number of VFs is for."""


def _words_of(pattern: str) -> re.Pattern[str]:
    """Return what is kept of a file in which people have VFs made."""
    more = next((words for home, words in _COUNTS_OF.items() if pattern.startswith(home)), None)
    return re.compile(f"{BOOT_WORDS.pattern}|{more}") if more else BOOT_WORDS


def _in_etc(home: str) -> str:
    return f"etc/{home.removeprefix('usr/').partition('/')[2]}"


LINES_KEPT = (
    *((pattern, _words_of(pattern)) for pattern in BOOT_FILES),
    *((f"{home}/*", _words_of(_in_etc(home))) for home in COUNTS_BEHIND),
    *((pattern, LIMIT_WORDS) for pattern in LIMIT_FILES),
    *MENU_LINES_KEPT,
)
"""Files that may hold secrets, or are long, and which of their lines are kept; others are left
empty, so that lines keep their numbers."""

KNOWN_BY_NAME = re.compile(
    r"^(dev|(usr/)?s?bin|usr/lib/systemd|lib)/|^run/ostree-booted$|^etc/grub.d/10_linux$|^efi/EFI/"
    r"|^boot/(?!(efi/)?loader/entries/|grub2?/grubenv|efi/EFI/[^/]+/grubenv)"
    r"|^sys/bus/pci/drivers_probe$|/reset$"
    r"|^sys/module/[^/]+$"
)
"""Paths whose content is nobody's business, or that only take writes, or directories."""
