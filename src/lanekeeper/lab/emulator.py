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


def has_x2apic() -> bool:
    """Whether a lab host's processors may have x2APICs.

    Raises:
        Unavailable: QEMU is not installed.
        HostFault: it says something else than a release.
    """
    said = run([QEMU, "--version"], timeout_s=30).decode(errors="replace")
    return parse_release(said) >= X2APIC_SINCE


def parse_release(said: str) -> tuple[int, int]:
    """Read major and minor release from what QEMU says. Raises HostFault where there is none."""
    found = _RELEASE.search(said)
    if found is None:
        raise HostFault(f"{QEMU} --version says no release: {said[:80]!r}")
    return int(found[1]), int(found[2])
