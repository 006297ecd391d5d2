"""What the QEMU that is installed here can do."""

from __future__ import annotations

import re

from lanekeeper.domain.errors import HostFault
from lanekeeper.lab.machine import QEMU
from lanekeeper.lab.program import run

_RELEASE = re.compile(r"version (\d+)\.(\d+)")
X2APIC_SINCE = (9, 0)
"""The first release whose TCG has an x2APIC, and whose VT-d takes ``eim=on`` beside it.

Source: QEMU's ChangeLog/9.0, x86.
"""


def release() -> tuple[int, int]:
    """Ask QEMU for its major and minor release.

    Raises:
        Unavailable: it is not installed.
        HostFault: it says something else than a release.
    """
    said = run([QEMU, "--version"], timeout_s=30).decode(errors="replace")
    found = _RELEASE.search(said)
    if found is None:
        raise HostFault(f"{QEMU} --version says no release: {said[:80]!r}")
    return int(found[1]), int(found[2])


def has_x2apic() -> bool:
    """Whether a lab host's processors may have x2APICs. Raises as `release`."""
    return release() >= X2APIC_SINCE
