"""A flavor's extra specs and an image's properties as the topology that a guest asks for.

A spec ``hw:NAME`` has a property ``hw_NAME`` beside it. Where both are set they are judged spec by
spec, as Nova does.

Source: nova ``virt/hardware.py``, numa_get_constraints; ``api/validation/extra_specs/hw.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.topology.cpu_set import parse_cpu_set
from lanekeeper.domain.topology.guest import (
    CpuPolicy,
    EmulatorPolicy,
    GuestCell,
    GuestTopology,
    ThreadPolicy,
)
from lanekeeper.domain.topology.guest_cells import check_cells, even_cells
from lanekeeper.domain.topology.page_size import PageSize, PageWish, parse_page_size

NODES, CPU_POLICY, THREAD_POLICY = "numa_nodes", "cpu_policy", "cpu_thread_policy"
PAGE_SIZE, EMULATOR, MASK = "mem_page_size", "emulator_threads_policy", "cpu_dedicated_mask"
EMULATOR_SPEC = f"hw:{EMULATOR}"
CPUS, MEM = "numa_cpus", "numa_mem"
_NUMBERED = re.compile(rf"hw[:_]({CPUS}|{MEM})\.([0-9]{{1,4}})", re.ASCII)
_IN_IMAGES = frozenset({NODES, CPU_POLICY, THREAD_POLICY, PAGE_SIZE})
_CELLS_MAX = 128  # nova objects/image_meta.py, NUMA_NODES_MAX
_NUMBER = re.compile(r"\s*[0-9]{1,9}\s*", re.ASCII)

_Choice = TypeVar("_Choice", bound=StrEnum)


def is_topology_spec(key: str) -> bool:
    """Whether an extra spec is one of those that are read here."""
    names = (NODES, CPU_POLICY, THREAD_POLICY, PAGE_SIZE, EMULATOR, MASK)
    return key in {f"hw:{name}" for name in names} or _numbered(key, "hw:")


def is_topology_property(key: str) -> bool:
    """Whether an image property is one of those that are read here."""
    return key in {f"hw_{name}" for name in _IN_IMAGES} or _numbered(key, "hw_")


def _numbered(key: str, beginning: str) -> bool:
    return key.startswith(beginning) and _NUMBERED.fullmatch(key) is not None


def check_spec(key: str, value: str) -> None:
    """Check one spec of these by itself, as the API does from 2.86 on.

    Raises:
        Invalid: a value of the wrong form.
    """
    name = key.removeprefix("hw:")
    if found := _NUMBERED.fullmatch(key):
        if found[1] == MEM:
            _positive(value, key)
        else:
            parse_cpu_set(value, key)
    elif name == NODES:
        _positive(value, key)
    elif name == PAGE_SIZE:
        parse_page_size(value, key)
    elif name == MASK:
        parse_cpu_set(value, key)
    else:
        _choice(_POLICIES[name], value, key)


_POLICIES: Mapping[str, type[StrEnum]] = {
    CPU_POLICY: CpuPolicy,
    THREAD_POLICY: ThreadPolicy,
    EMULATOR: EmulatorPolicy,
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What flavor and image say, by the name that spec and property share."""

    specs: Mapping[str, str]
    properties: Mapping[str, Any]

    def flavor(self, name: str) -> str | None:
        return self.specs.get(f"hw:{name}") or None

    def image(self, name: str) -> str | None:
        value = self.properties.get(f"hw_{name}")
        return None if value in (None, "") else str(value)

    def numbered(self, name: str) -> list[tuple[str, str]]:
        """Key and value of ``NAME.0``, ``NAME.1`` and so on, of the one or of the other.

        Raises:
            Invalid: both have some.
        """
        flavor, image = (
            _in_a_row(told, f"{beginning}{name}")
            for told, beginning in ((self.specs, "hw:"), (self.properties, "hw_"))
        )
        if flavor and image:
            raise _forbidden(name)
        return flavor or image


def _in_a_row(told: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    keys = [f"{name}.{number}" for number in range(_CELLS_MAX)]
    there = [key for key in keys if key in told]
    if there != keys[: len(there)]:
        raise Invalid(f"{there[-1]} is set and {keys[len(there) - 1]} is not: count from 0")
    return [(key, str(told[key])) for key in there]


def guest_topology(
    vcpus: int, memory_mib: int, specs: Mapping[str, str], properties: Mapping[str, Any]
) -> GuestTopology | None:
    """Return what is asked for; None where the guest may float over its host as it comes.

    Raises:
        Invalid: a value of the wrong form, specs that do not go together, or a property that an
            image may not set beside the flavor's spec.
    """
    asked = _Asked(specs, properties)
    cpu_policy = _cpu_policy(asked)
    threads = _thread_policy(asked)
    emulator = _optional(EmulatorPolicy, asked.flavor(EMULATOR), f"hw:{EMULATOR}")
    dedicated = _dedicated(asked, cpu_policy, vcpus)
    _check_pinned_only(cpu_policy, threads, emulator)
    nodes, pages = _nodes(asked), _pages(asked)
    if not nodes and pages is None and cpu_policy in (None, CpuPolicy.SHARED):
        for key, _ in (*asked.numbered(CPUS), *asked.numbered(MEM)):
            raise Invalid(f"{key} says nothing without hw:{NODES}", hint=f"set hw:{NODES}, too")
        return None
    return GuestTopology(
        cells=_cells(asked, nodes or 1, (vcpus, memory_mib), dedicated),
        cpu_policy=cpu_policy or CpuPolicy.SHARED,
        thread_policy=threads,
        pages=pages,
        emulator=emulator,
    )


def _forbidden(name: str) -> Invalid:
    return Invalid(
        f"Image property 'hw_{name}' is not permitted to override NUMA configuration set against "
        "the flavor",
        hint=f"set hw:{name} or hw_{name}, not both",
    )


def _cpu_policy(asked: _Asked) -> CpuPolicy | None:
    flavor = _optional(CpuPolicy, asked.flavor(CPU_POLICY), f"hw:{CPU_POLICY}")
    image = _optional(CpuPolicy, asked.image(CPU_POLICY), f"hw_{CPU_POLICY}")
    stricter = {
        CpuPolicy.SHARED: (CpuPolicy.MIXED, CpuPolicy.DEDICATED),
        CpuPolicy.MIXED: (CpuPolicy.DEDICATED,),
    }
    if flavor and image in stricter.get(flavor, ()):
        raise Invalid(
            f"Image property 'hw_{CPU_POLICY}' {image} is not permitted to override the flavor's "
            f"hw:{CPU_POLICY} {flavor}",
            hint="use a flavor with that policy",
        )
    return flavor or image


def _thread_policy(asked: _Asked) -> ThreadPolicy | None:
    flavor = _optional(ThreadPolicy, asked.flavor(THREAD_POLICY), f"hw:{THREAD_POLICY}")
    image = _optional(ThreadPolicy, asked.image(THREAD_POLICY), f"hw_{THREAD_POLICY}")
    if flavor in (None, ThreadPolicy.PREFER):
        return image or flavor
    if image and image != flavor:
        raise Invalid(
            f"Image property 'hw_{THREAD_POLICY}' {image} is not permitted to override the "
            f"flavor's hw:{THREAD_POLICY} {flavor}"
        )
    return flavor


def _dedicated(asked: _Asked, policy: CpuPolicy | None, vcpus: int) -> frozenset[int]:
    """The guest's CPUs that are pinned."""
    everyone, mask = frozenset(range(vcpus)), asked.flavor(MASK)
    if policy is not CpuPolicy.MIXED:
        if mask:
            raise Invalid(
                f"hw:{MASK} goes with hw:{CPU_POLICY}=mixed only, and the policy is "
                f"{policy or CpuPolicy.SHARED}"
            )
        return everyone if policy is CpuPolicy.DEDICATED else frozenset()
    if not mask:
        raise Invalid(f"hw:{CPU_POLICY}=mixed needs hw:{MASK}, which says which CPUs are pinned")
    text = mask if not mask.strip().startswith("^") else f"0-{vcpus - 1},{mask}"
    pinned = parse_cpu_set(text, f"hw:{MASK}")
    if not pinned or not pinned < everyone:
        raise Invalid(
            f"hw:{MASK} {mask[:60]!r} must name some of the CPUs 0-{vcpus - 1}, and not all of them"
        )
    return pinned


def _check_pinned_only(
    policy: CpuPolicy | None, threads: ThreadPolicy | None, emulator: EmulatorPolicy | None
) -> None:
    if policy not in (None, CpuPolicy.SHARED):
        return
    if threads:
        raise Invalid(
            f"hw:{THREAD_POLICY} {threads} goes with pinned CPUs only",
            hint=f"set hw:{CPU_POLICY}=dedicated",
        )
    if emulator is EmulatorPolicy.ISOLATE:
        raise Invalid(
            f"hw:{EMULATOR}=isolate goes with pinned CPUs only: set hw:{CPU_POLICY}=dedicated"
        )


def _nodes(asked: _Asked) -> int | None:
    flavor, image = asked.flavor(NODES), asked.image(NODES)
    if flavor and image:
        raise _forbidden(NODES)
    text = flavor or image
    if text is None:
        return None
    nodes = _positive(text, f"hw:{NODES}")
    if nodes > _CELLS_MAX:
        raise Invalid(f"hw:{NODES} {nodes} is more than {_CELLS_MAX}")
    return nodes


def _pages(asked: _Asked) -> PageSize | None:
    flavor, image = asked.flavor(PAGE_SIZE), asked.image(PAGE_SIZE)
    if flavor is None:
        if image is None:
            return None
        raise Invalid(
            f"Page size {image[:40]} forbidden against '<empty>': an image may choose a page size "
            f"only where the flavor's hw:{PAGE_SIZE} is large or any"
        )
    size = parse_page_size(flavor, f"hw:{PAGE_SIZE}")
    if image is None:
        return size
    if size in (PageWish.LARGE, PageWish.ANY):
        return parse_page_size(image, f"hw_{PAGE_SIZE}")
    raise Invalid(
        f"Page size {image[:40]} forbidden against '{flavor[:40]}': an image may choose a page "
        f"size only where the flavor's hw:{PAGE_SIZE} is large or any"
    )


def _cells(
    asked: _Asked, nodes: int, size: tuple[int, int], dedicated: frozenset[int]
) -> tuple[GuestCell, ...]:
    cpus, memory = asked.numbered(CPUS), asked.numbered(MEM)
    if not cpus and not memory:
        return even_cells(nodes, size, dedicated)
    if len(cpus) != nodes or len(memory) != nodes:
        raise Invalid(
            f"hw:{CPUS}.N and hw:{MEM}.N must both be set for each of the {nodes} NUMA nodes; "
            f"{len(cpus)} and {len(memory)} are"
        )
    sets = [parse_cpu_set(text, key) for key, text in cpus]
    amounts = [_positive(text, key) for key, text in memory]
    check_cells(size, sets, amounts)
    return tuple(
        GuestCell(mine - dedicated, mine & dedicated, mib)
        for mine, mib in zip(sets, amounts, strict=True)
    )


def _positive(text: str, key: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) < 1:
        raise Invalid(f"{key} {text[:40]!r} is not a whole number from 1")
    return int(text)


def _optional(choices: type[_Choice], text: str | None, key: str) -> _Choice | None:
    return None if text is None else _choice(choices, text, key)


def _choice(choices: type[_Choice], text: str, key: str) -> _Choice:
    try:
        return choices(text)
    except ValueError as error:
        raise Invalid(f"{key} {text[:40]!r} is none of {', '.join(choices)}") from error
