"""Reads the plain values of a policy; whatever is wrong is named with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lanekeeper.domain.errors import Invalid

VFS_MAX = 65535  # TotalVFs is 16 bits wide; PCI Express Base Specification, SR-IOV capability


class PolicyInvalid(Invalid):
    """The policy is wrong at one place. The operator changes it.

    Attributes:
        path: where, as ``pfs[0].vfs``; empty for the whole.
    """

    def __init__(self, path: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message, hint=hint)
        self.path = path


def read_mapping(value: object, path: str, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        kind = "nothing" if value is None else f"a {type(value).__name__}"
        raise PolicyInvalid(path, f"is {kind}, not a mapping", hint=f"keys: {', '.join(known)}")
    for key in value:
        if key not in known:
            where = f"{path}.{key}" if path else str(key)
            raise PolicyInvalid(where, "unknown key", hint=f"known here: {', '.join(known)}")
    return value


def read_list(value: object, path: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise PolicyInvalid(path, f"is {value!r:.60}, not a list", hint="each entry begins with -")
    if len(value) > most:
        raise PolicyInvalid(path, f"has {len(value)} entries", hint=f"at most {most}")
    return value


def read_count(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= VFS_MAX:
        raise PolicyInvalid(path, f"is {value!r:.60}", hint=f"a whole number from 0 to {VFS_MAX}")
    return value


def read_flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise PolicyInvalid(path, f"is {value!r:.60}", hint="true or false")
    return value


def read_text(value: object, path: str, pattern: re.Pattern[str], right: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise PolicyInvalid(path, f"is {value!r:.60}", hint=right)
    return value
