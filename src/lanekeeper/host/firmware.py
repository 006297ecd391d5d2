"""What the firmware says of itself: the machine's name, Secure Boot, the DMAR table."""

from __future__ import annotations

import re
from pathlib import Path

from lanekeeper.domain.hostplan.survey import Firmware
from lanekeeper.host.attribute import read_bytes, read_text

# The GUID is that of EFI_GLOBAL_VARIABLE, UEFI specification 3.3; four bytes of attributes precede.
_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_SECURE_BOOT_BYTES = 5
_DMAR_FLAGS_AT = 37  # Intel VT-d specification 8.1, after the ACPI header and Host Address Width


def read_firmware(root: Path) -> Firmware:
    """Read it below *root*. Raises HostFault; the DMAR table may be root's alone."""
    vendor, name = (
        read_text(str(root / "sys/class/dmi/id" / what)) for what in ("sys_vendor", "product_name")
    )
    variable = read_bytes(str(root / _SECURE_BOOT))
    lockdown = re.search(r"\[(\w+)\]", read_text(str(root / "sys/kernel/security/lockdown")) or "")
    dmar = read_bytes(str(root / "sys/firmware/acpi/tables/DMAR")) or b""
    return Firmware(
        product=" ".join(filter(None, (vendor, name))),
        secure_boot=variable[4] == 1 if variable and len(variable) >= _SECURE_BOOT_BYTES else None,
        lockdown=lockdown[1] if lockdown else None,
        dmar_flags=dmar[_DMAR_FLAGS_AT] if len(dmar) > _DMAR_FLAGS_AT else None,
    )
