"""Steps that take over from ``max_vfs``, by which a driver makes VFs when it is loaded.

The option holds for every card of the driver, cannot be changed while the driver is loaded, and
newer drivers have none; the policy's counts go through sysfs. Both at once fight at each boot.
"""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import ReplaceText
from lanekeeper.domain.hostplan.choice import Chosen
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Impact, Step

_OPTION = "max_vfs="


def max_vfs_steps(policy: Policy, host: HostFacts, chosen: Chosen) -> Iterator[Step]:
    """Comment out lines that give ``max_vfs`` to a driver of the policy's PFs; the rest stays."""
    drivers = {_module(pf.driver) for _, pf in chosen if pf.driver}
    if not policy.persist:
        return
    for path in host.modprobe_texts:
        for line in dict.fromkeys(host.modprobe_texts[path].splitlines(keepends=True)):
            if _gives_count(line, drivers):
                yield _step(path, line)


def _gives_count(line: str, drivers: set[str]) -> bool:
    words = line.split()
    return (
        words[:1] == ["options"]
        and len(words) > 2  # noqa: PLR2004  # options MODULE OPTION
        and _module(words[1]) in drivers
        and any(word.startswith(_OPTION) for word in words[2:])
        and words[-1] != "\\"  # goes on in the next line
    )


def _step(path: str, line: str) -> Step:
    words = [word for word in line.split() if not word.startswith(_OPTION)]
    other = f"{' '.join(words)}\n" if words[2:] else ""
    ended = line if line.endswith("\n") else f"{line}\n"
    new = f"{persistence.NOTE}# {ended}{other}"
    why = f"{line.strip()} makes VFs on every card of the driver; the policy's counts hold instead"
    return Step(ReplaceText(path, line, new), (ReplaceText(path, new, line),), why, Impact.REBOOT)


def _module(name: str) -> str:
    return name.replace("-", "_")
