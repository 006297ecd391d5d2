"""A program of the operator's that has to succeed before a device is clean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.device import PciDevice

TIMEOUT_S, TIMEOUT_MAX_S = 60.0, 3600.0
ADDRESS = "{address}"
"""A word of a command that stands for the device's address."""
_KEYS = ("command", "vendor_id", "product_id", "class", "timeout_s")
_DIGITS: Mapping[str, re.Pattern[str]] = {
    "vendor_id": re.compile(r"[0-9a-fA-F]{4}\Z"),
    "product_id": re.compile(r"[0-9a-fA-F]{4}\Z"),
    "class": re.compile(r"([0-9a-fA-F]{2}){1,3}\Z"),
}
_EXAMPLE = '{"command": ["/usr/local/sbin/wipe", "{address}"], "class": "0302", "timeout_s": 60}'


@dataclass(frozen=True, slots=True, kw_only=True)
class CleaningHook:
    """What to run for which devices.

    Attributes:
        command: an absolute path and its arguments; no shell reads them.
        vendor_id, product_id: hexadecimal, lower case; empty for any.
        class_prefix: of the 24-bit class, so ``02`` is every network function; empty for any.
    """

    command: tuple[str, ...]
    vendor_id: str = ""
    product_id: str = ""
    class_prefix: str = ""
    timeout_s: float = TIMEOUT_S

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one value of the option, a JSON object.

        Raises:
            Invalid: names the key and says what would be right.
        """
        try:
            value = json.loads(text)
        except ValueError as error:
            raise Invalid(f"cleaning_hooks is not JSON: {error}", hint=_EXAMPLE) from error
        if not isinstance(value, dict):
            raise Invalid("cleaning_hooks is not a JSON object", hint=_EXAMPLE)
        if unknown := sorted(value.keys() - set(_KEYS)):
            known = ", ".join(_KEYS)
            raise Invalid(f"cleaning_hooks: {unknown[0][:40]!r} is none of {known}", hint=_EXAMPLE)
        ids = {name: _hexadecimal(name, value.get(name, "")) for name in _DIGITS}
        return cls(
            command=_command(value.get("command")),
            vendor_id=ids["vendor_id"],
            product_id=ids["product_id"],
            class_prefix=ids["class"],
            timeout_s=_seconds(value.get("timeout_s", TIMEOUT_S)),
        )

    def covers(self, device: PciDevice) -> bool:
        """Whether the device has to pass this."""
        return (
            self.vendor_id in ("", f"{device.vendor_id:04x}")
            and self.product_id in ("", f"{device.product_id:04x}")
            and f"{device.class_code:06x}".startswith(self.class_prefix)
        )

    def arguments(self, device: PciDevice) -> tuple[str, ...]:
        """The command for one device."""
        return tuple(str(device.address) if word == ADDRESS else word for word in self.command)


def environment_of(device: PciDevice) -> dict[str, str]:
    """All that such a program finds in its environment: what it is to clean."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
        "LANEKEEPER_ADDRESS": str(device.address),
        "LANEKEEPER_VENDOR_ID": f"{device.vendor_id:04x}",
        "LANEKEEPER_PRODUCT_ID": f"{device.product_id:04x}",
        "LANEKEEPER_CLASS": f"{device.class_code:06x}",
        "LANEKEEPER_DRIVER": device.driver or "",
        "LANEKEEPER_PF": "" if device.parent is None else str(device.parent),
        "LANEKEEPER_VF_INDEX": "" if device.vf_index is None else str(device.vf_index),
    }


def _command(value: Any) -> tuple[str, ...]:
    is_list = isinstance(value, list) and all(isinstance(one, str) and one for one in value)
    if not is_list or not value:
        raise Invalid("cleaning_hooks: command is not a list of words", hint=_EXAMPLE)
    if not value[0].startswith("/"):
        raise Invalid(
            f"cleaning_hooks: command begins with {value[0][:80]!r}, which is no absolute path",
            hint=_EXAMPLE,
        )
    if any("\0" in word for word in value):
        raise Invalid("cleaning_hooks: command has a word with a NUL in it", hint=_EXAMPLE)
    return tuple(value)


def _hexadecimal(name: str, value: Any) -> str:
    if value in ("", "*"):
        return ""
    if not isinstance(value, str) or not _DIGITS[name].match(value):
        digits = "2, 4 or 6" if name == "class" else "4"
        raise Invalid(
            f"cleaning_hooks: {name} {str(value)[:40]!r} is not {digits} hexadecimal digits as text"
        )
    return value.lower()


def _seconds(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= TIMEOUT_MAX_S:
        raise Invalid(
            f"cleaning_hooks: timeout_s {str(value)[:40]} is not a number above 0 and at most "
            f"{TIMEOUT_MAX_S:g}"
        )
    return float(value)
