"""Sets of CPUs as people and kernels write them: ``0-3,8,^2``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lanekeeper.domain.errors import Invalid

_PART = re.compile(r"(\^?)([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_LENGTH_MAX = 4096


def parse_cpu_set(text: str, what: str = "CPU set") -> frozenset[int]:
    """Read single CPUs, ranges and, behind ``^``, what is left out of them, in any order.

    Raises:
        Invalid: anything else, a range that runs backwards, or one behind ``^``; *what* names it.

    Source: nova ``virt/hardware.py``, parse_cpu_spec.
    """
    if len(text) > _LENGTH_MAX:
        raise Invalid(f"{what} is longer than {_LENGTH_MAX} letters")
    taken: set[int] = set()
    left_out: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _PART.fullmatch(part)
        if found is None or (found[1] and found[3]):
            raise Invalid(f"{what} {text[:60]!r}: {part[:40]!r} is no CPU, such as 3, 0-7 or ^2")
        first, last = int(found[2]), int(found[3] or found[2])
        if last < first:
            raise Invalid(f"{what} {text[:60]!r}: {part} runs backwards")
        (left_out if found[1] else taken).update(range(first, last + 1))
    return frozenset(taken - left_out)


def format_cpu_set(cpus: Iterable[int]) -> str:
    """Write it the short way: ``0-3,8``."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
