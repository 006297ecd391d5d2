"""What PCI functions say beyond their identity: resets, links, errors, windows, bridges above.

A VF costs two reads, since link, errors and windows are its PF's; configuration space is read of
bridges only.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``, ``sysfs-bus-pci-devices-aer``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lanekeeper.domain.errors import Error
from lanekeeper.domain.hostplan.survey import BridgeFacts, FunctionFacts, Region
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.host.attribute import read_bytes, read_text, whole

Faulty = tuple[str, str]

_ABOVE = re.compile(r"([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])/")
_SPEED = re.compile(r"(\d+(?:\.\d+)?) GT/s")
_ERRORS = ("correctable", "nonfatal", "fatal")
_OWN_REGIONS = range(6)  # Linux include/linux/pci.h, PCI_STD_RESOURCES: after six BARs the ROM,
_VF_REGIONS = range(7, 13)  # then PCI_IOV_RESOURCES
_SAYS_RESETS_SINCE = (5, 15)  # where Linux has reset_method, exactly for what can be reset
_BRIDGE = 0x06
_EXTENDED_AT = 0x100
_CONFIG_BYTES = 4096
_ACS_CAPABILITY = 0x000D  # Linux include/uapi/linux/pci_regs.h, PCI_EXT_CAP_ID_ACS
_ACS_CONTROL = 6  # likewise, PCI_ACS_CTRL


def read_functions(
    root: Path, devices: Iterable[PciDevice], kernel: tuple[int, ...]
) -> tuple[dict[PciAddress, FunctionFacts], tuple[Faulty, ...]]:
    """Read *devices*; those that say what makes no sense are left out, and named with a reason."""
    found: dict[PciAddress, FunctionFacts] = {}
    faults: list[Faulty] = []
    for device in devices:
        home = str(root / "sys/bus/pci/devices" / str(device.address))
        try:
            found[device.address] = _function(
                home, device, says_resets=kernel[:2] >= _SAYS_RESETS_SINCE
            )
        except Error as error:
            faults.append((str(device.address), str(error)))
    return found, tuple(faults)


def read_bridges(
    root: Path, devices: Iterable[PciDevice]
) -> tuple[dict[PciAddress, BridgeFacts], tuple[Faulty, ...]]:
    """Read what decides at the bridges among *devices*."""
    found: dict[PciAddress, BridgeFacts] = {}
    faults: list[Faulty] = []
    for device in devices:
        if device.class_code >> 16 == _BRIDGE:
            home = str(root / "sys/bus/pci/devices" / str(device.address))
            try:
                found[device.address] = _bridge(home)
            except Error as error:
                faults.append((str(device.address), str(error)))
    return found, tuple(faults)


def _function(home: str, device: PciDevice, *, says_resets: bool) -> FunctionFacts:
    resets = _resets(home, says_resets=says_resets)
    override = read_text(f"{home}/driver_override")
    override = None if override in (None, "", "(null)") else override
    if device.parent is not None:
        return FunctionFacts(reset_methods=resets, override=override, above=_above(home))
    ari = read_text(f"{home}/ari_enabled")
    return FunctionFacts(
        reset_methods=resets,
        override=override,
        speeds=link_speeds(home),
        widths=link_widths(home),
        errors={kind: counts for kind in _ERRORS if (counts := error_counts(home, kind))},
        **_regions(home, has_vfs=device.total_vfs > 0),
        ari=None if ari is None else ari == "1",
        offset=_optional(home, "sriov_offset") if device.total_vfs else None,
        stride=_optional(home, "sriov_stride") if device.total_vfs else None,
        above=_above(home),
    )


def _resets(home: str, *, says_resets: bool) -> tuple[str, ...] | None:
    text = read_text(f"{home}/reset_method")
    if text is not None:
        return tuple(text.split())
    known = says_resets and not os.path.lexists(f"{home}/reset")
    return () if known else None


def _above(home: str) -> tuple[PciAddress, ...]:
    """Find the bridges in the link that leads to the device, the nearest first."""
    try:
        target = os.readlink(home)  # noqa: PTH115  # hot path
    except OSError:
        return ()  # a planted directory in place of a link
    return tuple(PciAddress.parse(name) for name in reversed(_ABOVE.findall(target)))


def _optional(home: str, attribute: str) -> int | None:
    text = read_text(f"{home}/{attribute}")
    return None if text is None else whole(text, attribute)


def link_speeds(home: str) -> tuple[float, float] | None:
    """Return the link's speed now and at most; None for a device without, or asleep."""
    texts = [read_text(f"{home}/{which}_link_speed") or "" for which in ("current", "max")]
    found = [_SPEED.match(text) for text in texts]
    if found[0] is None or found[1] is None:
        for text, name in zip(texts, ("current", "max"), strict=True):
            if text and not text.startswith("Unknown"):
                whole(text.partition(" ")[0].replace(".", "", 1), f"{name}_link_speed")
        return None
    return float(found[0][1]), float(found[1][1])


def link_widths(home: str) -> tuple[int, int] | None:
    now, most = (_optional(home, f"{which}_link_width") for which in ("current", "max"))
    return (now, most) if now and most and most < 255 else None  # noqa: PLR2004  # unknown


def error_counts(home: str, kind: str) -> dict[str, int]:
    """Read lines such as ``BadTLP 3``; the last is their total."""
    text = read_text(f"{home}/aer_dev_{kind}") or ""
    pairs = [line.rpartition(" ") for line in text.splitlines()]
    counts = {name: whole(count, f"aer_dev_{kind}") for name, _, count in pairs}
    return {name: n for name, n in counts.items() if n and not name.startswith("TOTAL")}


def _regions(home: str, *, has_vfs: bool) -> dict[str, tuple[Region, ...]]:
    lines = (read_text(f"{home}/resource") or "").splitlines()
    every = tuple(_parse_regions(lines))
    own = tuple(region for region in every if region.number in _OWN_REGIONS)
    of_vfs = tuple(
        Region(region.number - _VF_REGIONS[0], region.start, region.end, region.flags)
        for region in every
        if region.number in _VF_REGIONS and has_vfs
    )
    return {"regions": own, "vf_regions": of_vfs}


def _parse_regions(lines: list[str]) -> Iterator[Region]:
    for number, line in enumerate(lines):
        start, end, flags = (whole(word, "resource", 16) for word in f"{line} x x x".split()[:3])
        if flags:
            yield Region(number, start, end, flags)


def _bridge(home: str) -> BridgeFacts:
    config = read_bytes(f"{home}/config", _CONFIG_BYTES) or b""
    at = _extended_capability(config, _ACS_CAPABILITY)
    return BridgeFacts(
        acs=None if at is None else int.from_bytes(config[at + _ACS_CONTROL : at + 8], "little"),
        acs_known=len(config) > _EXTENDED_AT and any(config[_EXTENDED_AT : _EXTENDED_AT + 4]),
        last_bus=_optional(home, "subordinate_bus_number"),
    )


def _extended_capability(config: bytes, wanted: int) -> int | None:
    """Follow the chain of extended capabilities; a broken one may loop."""
    at = _EXTENDED_AT
    for _ in range(_CONFIG_BYTES // 8):
        header = int.from_bytes(config[at : at + 4], "little")
        if header & 0xFFFF == wanted:
            return at
        at = header >> 20
        if at < _EXTENDED_AT:
            break
    return None
