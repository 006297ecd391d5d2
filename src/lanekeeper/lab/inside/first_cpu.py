"""Keeps the lab host's programs, and so its guests, off its first CPU.

QEMU 10 emulates AMD's SVM with flags of each CPU, ``hflags2``. Whichever CPU restores a task's FPU
state clears a flag of the *first* CPU there, with no lock and not atomically (``cpu_clear_ignne``
in ``target/i386/tcg/system/fpu_helper.c``). If that CPU enters or leaves a guest meanwhile, its
change is lost: it goes on as the host with the guest's page tables or its GS base, and the lab host
panics, resets or hangs. The first CPU therefore serves interrupts and the kernel, and nothing that
could enter a guest (docs/decisions/0120).
"""

from __future__ import annotations

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
ONLINE = Path("/sys/devices/system/cpu/online")
NAME = "lab"


def leave(cgroups: Path = CGROUPS, online: Path = ONLINE) -> None:
    """Put this program, PID 1 and whatever they start on the CPUs behind the first.

    A cgroup and not an affinity, because libvirt sets its guests' affinity to all CPUs there are.

    Source: Linux, ``Documentation/admin-guide/cgroup-v2.rst``, Cpuset.
    """
    last = int(online.read_text().strip().rpartition("-")[2])
    (cgroups / "cgroup.subtree_control").write_text("+cpuset")
    group = cgroups / NAME
    group.mkdir()
    (group / "cpuset.cpus").write_text(f"1-{last}")
    for pid in (1, os.getpid()):
        (group / "cgroup.procs").write_text(str(pid))
