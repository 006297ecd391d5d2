"""What modprobe is told, what loaded modules were given, and which VFIO drivers there are."""

from __future__ import annotations

import re
from pathlib import Path

from lanekeeper.domain.hostplan.modprobe_line import logical_lines
from lanekeeper.domain.hostplan.survey import Line, Variant
from lanekeeper.host.attribute import names, read_bytes, read_lines, read_text

_DIRECTORY = "etc/modprobe.d"
_VARIANT = re.compile(r"^alias vfio_pci:(\S+) (\S+)$", re.MULTILINE)
_ALIAS = re.compile(rb"^alias (?:vfio_)?pci:(\S+) (\S+)$", re.MULTILINE)
MODULE_LIST_BYTES_MAX = 2**24
_PARAMETERS = ("vfio", "vfio_iommu_type1", "vfio_pci", "iommufd", "kvm")


def read_modprobe(root: Path) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """Return the lines of modprobe.d, and the files there that modprobe passes over.

    A line that ends in a backslash goes on in the next and has the number of its first.

    Raises:
        HostFault: a file cannot be read.
    """
    lines: list[Line] = []
    ignored: list[str] = []
    for name in names(str(root / _DIRECTORY)):
        path = f"{_DIRECTORY}/{name}"
        if not (root / path).is_file():
            continue
        if name.endswith(".conf"):
            lines += _lines(path, read_lines(str(root / path)))
        elif not name.startswith("."):
            ignored.append(path)
    return tuple(lines), tuple(ignored)


def read_vf_counts(root: Path) -> dict[str, str]:
    """Return the text of each file of modprobe.d that speaks of ``max_vfs``. Raises HostFault."""
    found: dict[str, str] = {}
    for name in names(str(root / _DIRECTORY)):
        path = f"{_DIRECTORY}/{name}"
        if name.endswith(".conf") and (root / path).is_file():
            text = (read_bytes(str(root / path)) or b"").decode("utf-8", "surrogateescape")
            if "max_vfs" in text.replace("\\\n", ""):
                found[path] = text
    return found


def _lines(path: str, lines: list[str]) -> list[Line]:
    found = ((each.first, each.text.strip()) for each in logical_lines(lines))
    return [Line(path, first, text) for first, text in found if text and not text.startswith("#")]


def modules_listed(release: str) -> str:
    """Return where the modules of a kernel are listed."""
    return f"lib/modules/{release}/modules.dep"


def read_loadable(root: Path, release: str) -> frozenset[str]:
    """Return what modules.dep lists; without it the VFIO modules that lie there, as in captures.

    Source: modules.dep(5): ``path: paths that it needs``.
    """
    if not release:
        return frozenset()
    data = read_bytes(str(root / modules_listed(release)), MODULE_LIST_BYTES_MAX)
    if data is not None:
        lines = data.decode("utf-8", "replace").splitlines()
        files = [line.partition(":")[0].rpartition("/")[2] for line in lines]
    else:
        vfio = root / "lib/modules" / release / "kernel/drivers/vfio"
        files = [*names(str(vfio)), *names(str(vfio / "pci"))]
    return frozenset(name.partition(".ko")[0].replace("-", "_") for name in files if ".ko" in name)


def read_parameters(root: Path) -> dict[str, str]:
    """Return the parameters of the modules that guests' devices depend on. Raises HostFault."""
    found: dict[str, str] = {}
    for module in _PARAMETERS:
        home = root / "sys/module" / module / "parameters"
        for name in names(str(home)):
            text = read_text(str(home / name))
            if text is not None:
                found[f"{module}.{name}"] = text
    return found


def read_aliases(root: Path, release: str) -> dict[str, tuple[str, ...]]:
    """Return for each module of the kernel *release* the PCI functions that it matches.

    Source: modules.alias of depmod(8), as ``alias pci:PATTERN MODULE``.
    """
    if not release:
        return {}
    path = str(root / "lib/modules" / release / "modules.alias")
    found: dict[str, list[str]] = {}
    for pattern, module in _ALIAS.findall(read_bytes(path, MODULE_LIST_BYTES_MAX) or b""):
        found.setdefault(module.decode("ascii", "replace"), []).append(
            pattern.decode("ascii", "replace")
        )
    return {module.replace("-", "_"): tuple(patterns) for module, patterns in found.items()}


def aliases_of(root: Path, release: str, vendors: frozenset[str]) -> str:
    """Return of modules.alias the lines about PCI functions of *vendors*, as ``v00008086``.

    Of a module that drives none of theirs the first line is kept: that it has a table, and not for
    those. All of a distribution's kernel are above a megabyte.

    Raises:
        HostFault: it cannot be read.
    """
    path = str(root / "lib/modules" / release / "modules.alias")
    kept: list[bytes] = []
    spoken_for: set[bytes] = set()
    others: dict[bytes, bytes] = {}
    for found in _ALIAS.finditer(read_bytes(path, MODULE_LIST_BYTES_MAX) or b""):
        pattern, module = found.groups()
        if pattern.startswith(b"v*") or pattern[:9].decode("ascii", "replace") in vendors:
            kept.append(found[0])
            spoken_for.add(module)
        else:
            others.setdefault(module, found[0])
    kept += [line for module, line in others.items() if module not in spoken_for]
    return b"\n".join(kept).decode("utf-8", "replace")


def read_variants(root: Path, release: str) -> tuple[Variant, ...]:
    """Return the VFIO drivers of the kernel *release* that are made for some cards.

    Source: Linux ``Documentation/driver-api/vfio.rst``; modules.alias lists them as
    ``alias vfio_pci:PATTERN MODULE``.
    """
    if not release:
        return ()
    path = str(root / "lib/modules" / release / "modules.alias")
    text = (read_bytes(path, MODULE_LIST_BYTES_MAX) or b"").decode("utf-8", "replace")
    return tuple(
        Variant(module, pattern)
        for pattern, module in _VARIANT.findall(text)
        if module != "vfio_pci"
    )
