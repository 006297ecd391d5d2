"""Reads the plain values of a policy; whatever is wrong is named with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

from lanekeeper.domain.errors import Invalid

_Word = TypeVar("_Word", bound=StrEnum)

VERY_NEAR = 0.6
_MEANT = {
    "sriov_numvfs": "vfs",
    "sriov_numb": "vfs",
    "sriov_drivers_autoprobe": "vf_driver",
    "numvfs": "vfs",
    "num_vfs": "vfs",
    "max_vfs": "vfs",
    "vf_count": "vfs",
    "driver_override": "vf_driver",
    "spoof_check": "spoofchk",
    "vendor_id": "vendor",
    "product_id": "product",
    "device": "product",
    "physnet": "physical_network",
    "devname": "netdev",
    "interface": "netdev",
    "hugepages": "huge_pages",
    "cmdline": "kernel_arguments",
}
"""Names from sysfs, Nova and drivers, and what they are called in a policy."""

VFS_MAX = 65535  # TotalVFs is 16 bits wide; PCI Express Base Specification, SR-IOV capability


class PolicyInvalid(Invalid):
    """The policy is wrong at one place, or at several at once. The operator changes it.

    Attributes:
        path: where, as ``pfs[0].vfs``; empty for the whole.
        beside: the other place, where two contradict each other.
    """

    def __init__(self, path: str, message: str, *, hint: str = "", beside: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message, hint=hint)
        self.path = path
        self.beside = beside
        self._parts: tuple[PolicyInvalid, ...] = ()

    @property
    def parts(self) -> tuple[PolicyInvalid, ...]:
        return self._parts or (self,)

    @classmethod
    def joined(cls, errors: Sequence[PolicyInvalid]) -> PolicyInvalid:
        """Return one for all of *errors*: that itself, if it is only one."""
        parts = tuple(part for error in errors for part in error.parts)
        if len(parts) == 1:
            return parts[0]
        whole = cls("", "\n".join(map(str, parts)), hint=parts[0].hint)
        whole._parts = parts
        return whole


def require_mapping(value: object, path: str, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        kind = "nothing" if value is None else f"a {type(value).__name__}"
        raise PolicyInvalid(path, f"is {kind}, not a mapping", hint=f"keys: {', '.join(known)}")
    return value


def read_mapping(value: object, path: str, known: Sequence[str]) -> Mapping[str, Any]:
    found = require_mapping(value, path, known)
    wrong = [*unknown_keys(found, path, known)]
    if wrong:
        raise PolicyInvalid.joined(wrong)
    return found


def unknown_keys(
    value: Mapping[str, Any], path: str, known: Sequence[str]
) -> Iterator[PolicyInvalid]:
    for key in value:
        if key not in known:
            where = f"{path}.{key}" if path else str(key)
            near = near_miss(str(key), known)
            meant = f"did you mean {near}? " if near else ""
            yield PolicyInvalid(where, "unknown key", hint=f"{meant}known here: {', '.join(known)}")


def near_miss(word: str, known: Sequence[str]) -> str | None:
    """Return the one of *known* that *word* was probably meant to be."""
    names = [name for name in _MEANT if _MEANT[name] in known]
    close = get_close_matches(word.lower(), [*known, *names], n=1, cutoff=VERY_NEAR)
    return _MEANT.get(close[0], close[0]) if close else None


def read_list(value: object, path: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise PolicyInvalid(path, f"is {value!r:.60}, not a list", hint="each entry begins with -")
    if len(value) > most:
        raise PolicyInvalid(path, f"has {len(value)} entries", hint=f"at most {most}")
    return value


def read_words(value: object, path: str, known: type[_Word]) -> list[_Word]:
    """Read a list of words, each one of *known*. Raises PolicyInvalid."""
    given = read_list(value, path, len(known))
    for at, word in enumerate(given):
        if word not in set(known):
            hint = f"any of {', '.join(known)}"
            raise PolicyInvalid(f"{path}[{at}]", f"is {word!r:.60}", hint=hint)
    return [known(word) for word in given]


def read_count(value: object, path: str, most: int = VFS_MAX) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise PolicyInvalid(path, f"is {value!r:.60}", hint=f"a whole number from 0 to {most}")
    return value


def read_flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise PolicyInvalid(path, f"is {value!r:.60}", hint="true or false")
    return value


def read_text(value: object, path: str, pattern: re.Pattern[str], right: str) -> str:
    if isinstance(value, bool | int | float):
        # YAML 1.1 has no, off, on and yes for booleans, and 3:10 for a number.
        kind = "true or false" if isinstance(value, bool) else "a number"
        hint = f"{right}; in quotes, since without them YAML takes it for {kind}"
        raise PolicyInvalid(path, f"is {value!r:.60}", hint=hint)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise PolicyInvalid(path, f"is {value!r:.60}", hint=right)
    return value
