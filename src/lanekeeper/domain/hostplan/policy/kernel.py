"""What a policy wants of the kernel: arguments, huge pages, options of modules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lanekeeper.domain.hostplan.boot_loader import MULTIPLE, SUMMED, argument_key
from lanekeeper.domain.hostplan.huge_page_argument import pools
from lanekeeper.domain.hostplan.iommu_argument import MEANT, values
from lanekeeper.domain.hostplan.policy.problems import Problems
from lanekeeper.domain.hostplan.policy.reading import (
    PolicyInvalid,
    read_count,
    read_list,
    read_text,
)

HUGE_PAGES = ("node", "size", "pages")
SIZES_KIB = {"64K": 64, "2M": 2048, "32M": 32768, "512M": 524288, "1G": 1048576, "16G": 16777216}
"""Sizes that some architecture has. Source: Linux ``Documentation/arch/arm64/hugetlbpage.rst``."""

_NO_IOMMU = frozenset(("off", "noforce"))
_IOMMU = "iommu", "intel_iommu", "amd_iommu"
_NO_WAY = "max_vfs is no way to create VFs"
_BY_SYSFS = "pfs: [{pf: …, vfs: N}] creates VFs by sysfs, which works for every driver"
_ARGUMENTS_MAX = 64
_POOLS_MAX = 256
_MODULES_MAX = 64
NODES_MAX = 1024
PAGES_MAX = 2**31
ARGUMENT = re.compile(r"[A-Za-z0-9_.,:/+@%=-]{1,256}")
MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
OPTION = re.compile(r"[A-Za-z0-9_]+(?:=[A-Za-z0-9_.,:/+@%-]*)?")


@dataclass(frozen=True, slots=True)
class HugePages:
    """How many huge pages of one size a NUMA node keeps."""

    path: str
    node: int
    size_kib: int
    pages: int


@dataclass(frozen=True, slots=True)
class ModuleOptions:
    """What a module is loaded with from now on, each as ``name=value``."""

    module: str
    options: tuple[str, ...]


def read_arguments(value: object, path: str) -> tuple[str, ...]:
    """Read arguments for the kernel command line. Raises PolicyInvalid."""
    given = read_list(value, path, _ARGUMENTS_MAX)
    with Problems() as problems:
        found = tuple(
            problems.read(_argument, argument, f"{path}[{at}]", given[at - 1] if at else "")
            for at, argument in enumerate(given)
        )
        for problem in _contradictions(found, path):
            problems.note(problem)
    return found


def _argument(value: object, path: str, before: object) -> str:
    """Read one argument. What is a number or begins with one is a part of that *before*."""
    if "=" in str(before) and str(value)[:1].isdecimal() and not isinstance(value, bool):
        hint = f'quote it: "{before},{value}"; in a list YAML parts values at commas'
        raise PolicyInvalid(path, f"is {value!r:.60}, which is no argument", hint=hint)
    argument = read_text(value, path, ARGUMENT, "one argument such as iommu=pt")
    key, _, count = argument.partition("=")
    if key.endswith(".max_vfs") and count.strip("0,"):
        raise PolicyInvalid(path, _NO_WAY, hint=_BY_SYSFS)
    if argument in MEANT:
        reason = f"{argument} does nothing: the kernel says that it does not know it"
        raise PolicyInvalid(path, reason, hint=_instead(argument))
    return argument


def _instead(argument: str) -> str:
    meant = " and ".join(MEANT[argument])
    if len(MEANT[argument]) > 1:
        return f"{meant}, as two arguments"
    return f"{meant}; an AMD IOMMU is on unless something switches it off"


def _contradictions(arguments: Sequence[str | None], path: str) -> Iterator[PolicyInvalid]:
    """Name each that speaks of what an earlier one does: which holds is the kernel's affair."""
    for at, argument in enumerate(arguments):
        for before, other in enumerate(arguments[:at]):
            if argument is None or other is None or not _is_about_the_same(argument, other):
                continue
            both = f"{argument} stands beside {path}[{before}], which is {other}"
            hint = "drop one of them"
            if argument != other:
                both = f"{both}: only one of them can hold"
                hint = f"{hint}; several settings of one argument are joined by commas"
            yield PolicyInvalid(f"{path}[{at}]", both, hint=hint, beside=f"{path}[{before}]")
            break
    known = [argument or "" for argument in arguments]
    for at, argument in enumerate(known):
        is_count = argument_key(argument) == "hugepages"
        if is_count and pools(tuple(known[: at + 1])) == pools(tuple(known[:at])):
            reason = f"{argument} does nothing: the kernel takes the first count of a size"
            hint = "hugepagesz=SIZE before each hugepages=N, each size once"
            yield PolicyInvalid(f"{path}[{at}]", reason, hint=hint)


def last_words(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return those of a command line that no later one contradicts or repeats."""
    return tuple(
        argument
        for at, argument in enumerate(arguments)
        if not any(_is_about_the_same(argument, later) for later in arguments[at + 1 :])
    )


def _is_about_the_same(one: str, other: str) -> bool:
    if argument_key(one) == argument_key(other):
        return argument_key(one) not in MULTIPLE | SUMMED
    both = one, other
    says_no = (argument_key(a) == "iommu" and not _NO_IOMMU.isdisjoint(values(a)) for a in both)
    return any(says_no) and all(argument_key(argument) in _IOMMU for argument in both)


def read_huge_pages(value: object, path: str) -> tuple[HugePages, ...]:
    """Read the pools; two for one node and size are refused. Raises PolicyInvalid."""
    found: dict[tuple[int, int], HugePages] = {}
    with Problems() as problems:
        pools = problems.each(_pool, read_list(value, path, _POOLS_MAX), path)
        for pool in filter(None, pools):
            first = found.setdefault((pool.node, pool.size_kib), pool)
            if first is not pool:
                message = f"is for the same node and size as {first.path}"
                hint = "drop one of them"
                problems.note(PolicyInvalid(pool.path, message, hint=hint, beside=first.path))
    return tuple(found.values())


def _pool(entry: object, path: str) -> HugePages:
    with Problems() as problems:
        given = problems.mapping(entry, path, HUGE_PAGES)
        for name in HUGE_PAGES:
            if name not in given:
                hint = "{node: 0, size: 2M, pages: 512}"
                problems.note(PolicyInvalid(path, f"{name} is missing", hint=hint))
        return HugePages(
            path,
            problems.read(read_count, given.get("node", 0), f"{path}.node", NODES_MAX),
            problems.read(_size, given.get("size", "2M"), f"{path}.size"),
            problems.read(read_count, given.get("pages", 0), f"{path}.pages", PAGES_MAX),
        )


def _size(value: object, path: str) -> int:
    if not isinstance(value, str) or value not in SIZES_KIB:
        raise PolicyInvalid(path, f"is {value!r:.60}", hint=f"one of {', '.join(SIZES_KIB)}")
    return SIZES_KIB[value]


def read_module_options(value: object, path: str) -> tuple[ModuleOptions, ...]:
    """Read a mapping from modules to lists of options. Raises PolicyInvalid."""
    if not isinstance(value, dict):
        raise PolicyInvalid(
            path, f"is {value!r:.60}, not a mapping", hint="mlx5_core: [prof_sel=2]"
        )
    if len(value) > _MODULES_MAX:
        raise PolicyInvalid(path, f"has {len(value)} entries", hint=f"at most {_MODULES_MAX}")
    with Problems() as problems:
        return tuple(problems.read(_options, *each, path) for each in value.items())


def read_blacklist(value: object, path: str) -> tuple[str, ...]:
    """Read modules that are not to load by themselves, each once. Raises PolicyInvalid."""
    with Problems() as problems:
        names = problems.each(_blacklisted, read_list(value, path, _MODULES_MAX), path)
    return tuple(dict.fromkeys(names))


def _blacklisted(value: object, path: str) -> str:
    return read_text(value, path, MODULE, "a module's name, as igbvf")


def _options(module: object, value: object, path: str) -> ModuleOptions:
    name = read_text(module, f"{path}.{module}", MODULE, "a module's name as key")
    where = f"{path}.{name}"
    with Problems() as problems:
        options = problems.each(_option, read_list(value, where, _ARGUMENTS_MAX), where)
    return ModuleOptions(name, options)


def _option(value: object, path: str) -> str:
    option = read_text(value, path, OPTION, "one option such as prof_sel=2")
    if option.partition("=")[0] == "max_vfs":
        raise PolicyInvalid(path, _NO_WAY, hint=_BY_SYSFS)
    return option
