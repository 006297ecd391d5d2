"""What one entry of ``devices`` wants of functions that go to guests whole: GPUs, NICs, drives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.hostplan.policy.problems import Problems
from lanekeeper.domain.hostplan.policy.purpose import Purpose, read_purpose
from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid, read_text, read_words
from lanekeeper.domain.hostplan.policy.selector import DeviceSelector, read_selector
from lanekeeper.domain.hostplan.policy.vf import DRIVER, VfDriver, read_tags

VFIO = "vfio-pci"
FIELDS = ("device", "driver", "physical_network", "alias", "tags", "allow")
_EXAMPLE = 'device: "0000:41:00.0", or device: {ids: "10de:25b6"}'
OF_THE_HOST = ("netdev", "altname", "driver")
"""What a function has only while the host has it: a selector by these would lose it."""


class Allow(StrEnum):
    """What the host may lose with a device, since the policy says so."""

    BOOT_VGA = "boot-vga"
    ADDRESSES = "addresses"
    DISK = "disk"
    GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePolicy:
    """What one entry of ``devices`` wants.

    Attributes:
        path: where the entry stands, as ``devices[0]``.
        driver: the one that is to have the device, now and from each boot on.
        tags: of its ``device_spec``, by key.
        allow: what the host may lose with it.
    """

    path: str
    selector: DeviceSelector
    driver: str = VFIO
    purpose: Purpose | None = None
    tags: tuple[tuple[str, str], ...] = ()
    allow: frozenset[Allow] = frozenset()


def read_device(entry: object, path: str) -> DevicePolicy:
    """Read one entry of ``devices``. Raises PolicyInvalid."""
    with Problems() as problems:
        fields = problems.mapping(entry, path, FIELDS)
        driver = fields.get("driver")
        if "device" not in fields:
            problems.note(PolicyInvalid(path, "device is missing", hint=_EXAMPLE))
        allowed = problems.read(read_words, fields.get("allow") or [], f"{path}.allow", Allow)
        return DevicePolicy(
            path=path,
            selector=problems.read(_selector, fields.get("device"), f"{path}.device")
            if "device" in fields
            else DeviceSelector(),
            driver=VFIO if driver is None else problems.read(_driver, driver, f"{path}.driver"),
            purpose=problems.read(read_purpose, fields, path),
            tags=problems.read(read_tags, fields.get("tags"), f"{path}.tags"),
            allow=frozenset(allowed or ()),
        )


def _selector(value: object, path: str) -> DeviceSelector:
    found = read_selector(value, path)
    for name in OF_THE_HOST:
        if getattr(found, name) is not None:
            reason = f"selects by {name}, which the device has only while the host uses it"
            hint = "select by address, ids, class, serial or slot; `lanekeeper host show` has them"
            raise PolicyInvalid(path, reason, hint=hint)
    return found


def _driver(value: object, path: str) -> str:
    if value in set(VfDriver):
        hint = f"{VFIO}, or another driver's name; without an entry the kernel chooses"
        raise PolicyInvalid(path, f"is {value}, which is for VFs", hint=hint)
    return read_text(value, path, DRIVER, f"a driver's name, as {VFIO}")
