"""Filters by what a host runs on and with: its architecture, hypervisor and its version.

Source: nova ``scheduler/filters/image_props_filter.py``, ``compute_capabilities_filter.py``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from lanekeeper.domain.compute.extra_spec import CAPABILITIES, CAPABILITY_SCOPE
from lanekeeper.domain.scheduling.fleet import Flags, Fleet
from lanekeeper.domain.scheduling.host import HostView, Platform, ServerRequest
from lanekeeper.domain.scheduling.spec_match import spec_matches
from lanekeeper.domain.scheduling.verdict import Filter, Verdict

_ARCHITECTURE, _HYPERVISOR = "hw_architecture", "img_hv_type"
_MODE, _VERSION = "hw_vm_mode", "img_hv_requested_version"
_SAME: Mapping[str, str] = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "i386": "i686",
    "x64": "x86_64",
    "x86": "i686",
}
"""Other names of architectures. Source: nova ``objects/fields.py``, Architecture.canonicalize."""
_COMPARED: Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "!=": operator.ne,
    "==": operator.eq,
}
_CONDITION = re.compile(r"\s*(<=|>=|<|>|!=|==)\s*([0-9]{1,9}(?:\.[0-9]{1,9}){0,3})\s*")


def image_properties(default_architecture: str | None) -> Filter:
    """Keep images from hosts of another architecture, hypervisor or version of it."""

    def judge(request: ServerRequest, platform: Platform) -> Verdict | None:
        asked = dict(request.image_properties)
        if default_architecture and not asked.get(_ARCHITECTURE):
            asked[_ARCHITECTURE] = default_architecture
        for name, wanted, has, fits in _compared(asked, platform):
            if not fits:
                return Verdict(
                    code="image_properties",
                    reason=f"has {has or 'not told what it is'}, the image has {name}={wanted}",
                    remedy=f"use an image for such hosts, or correct its {name}",
                    facts={"property": name, "asked": wanted, "host": has},
                )
        return None

    def why(request: ServerRequest, host: HostView) -> Verdict | None:
        return judge(request, host.platform)

    def mask(request: ServerRequest, fleet: Fleet) -> Flags:
        return fleet.platforms.where(lambda platform: judge(request, platform) is None)

    why.__name__ = "image_properties"
    return Filter(why, mask)


def _compared(asked: Mapping[str, str], platform: Platform) -> Iterator[tuple[str, str, str, bool]]:
    """Yield each property that counts: its name, what it asks, what the host has, if that fits."""
    if wanted := asked.get(_ARCHITECTURE):
        same = _architecture(wanted) == _architecture(platform.architecture)
        yield _ARCHITECTURE, wanted, platform.architecture, same
    if wanted := asked.get(_HYPERVISOR):
        # KVM is QEMU with the processor's help; libvirt calls both QEMU.
        has = {"qemu", "kvm"} if platform.hypervisor in {"qemu", "kvm"} else {platform.hypervisor}
        yield _HYPERVISOR, wanted, platform.hypervisor, wanted.lower() in has
    if wanted := asked.get(_MODE):
        yield _MODE, wanted, "hvm", wanted.lower() in {"hvm", "hv"}
    if (wanted := asked.get(_VERSION)) and platform.version:
        version = _parts(platform.version)
        text = ".".join(map(str, version))
        yield _VERSION, wanted, f"version {text}", _satisfies(version, wanted)


def _architecture(name: str) -> str:
    return _SAME.get(name.lower(), name.lower())


def _parts(version: int) -> tuple[int, int, int]:
    return version // 1_000_000, version // 1000 % 1000, version % 1000


def _satisfies(version: tuple[int, ...], conditions: str) -> bool:
    """Whether a version meets all of ``>=6.0,<10``; what cannot be read is met by none."""
    for one in conditions.split(","):
        found = _CONDITION.fullmatch(one)
        if found is None:
            return False
        wanted = tuple(map(int, found[2].split(".")))
        if not _COMPARED[found[1]](version, (*wanted, *(0,) * (len(version) - len(wanted)))):
            return False
    return True


def capabilities(request: ServerRequest, host: HostView) -> Verdict | None:
    for name, required in sorted(_capability_specs(request).items()):
        key = name.removeprefix(CAPABILITY_SCOPE)
        has = _capability(host, key)
        if not spec_matches(has, required):
            return Verdict(
                code="capabilities",
                reason=f"has {key} {has or 'not told'}, the flavor has {name}={required}",
                remedy="use another flavor, or a host that has it",
                facts={"spec": name, "asked": required, "host": has},
            )
    return None


def _capability_specs(request: ServerRequest) -> dict[str, str]:
    specs = request.extra_specs.items()
    return {name: text for name, text in specs if name.startswith(CAPABILITY_SCOPE)}


def _capability(host: HostView, key: str) -> str:
    assert key in CAPABILITIES, "others are refused with the flavor"
    values = {
        "cpu_info:arch": host.platform.architecture,
        "host": host.name,
        "hypervisor_hostname": host.name,
        "hypervisor_type": host.platform.hypervisor.upper(),
        "hypervisor_version": str(host.platform.version),
        "num_instances": str(len(host.servers)),
    }
    return values[key]


def _have_capabilities(request: ServerRequest, fleet: Fleet) -> Flags:
    if not _capability_specs(request):
        return np.ones(len(fleet), np.bool_)
    passes = (capabilities(request, view) is None for view in fleet.views)
    return np.fromiter(passes, np.bool_, len(fleet))


CAPABILITIES_FILTER = Filter(capabilities, _have_capabilities)
