"""The step that makes the first root file system anew, from which drivers may be loaded first.

Whether a driver is in it is not asked, because one made without need costs a minute, and one left
out brings the old options back at the next boot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lanekeeper.domain.hostplan.action import RunProgram
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.step import Impact, Step


def initramfs_steps(host: HostFacts, files: Sequence[Step]) -> Iterator[Step]:
    """Have it made from those *files* that wait for a boot, if there are any.

    Taking that back needs them taken back first.
    """
    texts = [step for step in files if step.impact is Impact.REBOOT]
    if not texts or host.initramfs_update is None:
        return
    update = RunProgram(host.initramfs_update)
    back = tuple(change for step in reversed(texts) for change in step.undo)
    why = "the driver may be loaded before the root file system is there"
    yield Step(update, (*back, update), why, Impact.REBOOT)
