"""Which pages a guest's memory is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.errors import Invalid

_SIZE = re.compile(r"(?a:(\d{1,12})(?:([kKMGT])(i?))?(bit|b|B)?)")
_POWERS = {"k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_BITS = frozenset({"bit", "b"})


class PageWish(StrEnum):
    """Where no size is named."""

    SMALL = "small"
    LARGE = "large"
    ANY = "any"


PageSize = PageWish | int
"""A wish, or a size in KiB."""


def parse_page_size(text: str, key: str) -> PageSize:
    """Read a wish, or a size: a plain number is KiB, one with a unit is bytes or bits.

    Raises:
        Invalid: anything else, and what is no whole number of KiB; *key* names it.

    Source: nova ``virt/hardware.py``, _get_numa_pagesize_constraint.
    """
    if text in set(PageWish):
        return PageWish(text)
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise Invalid(
            f"{key} {text[:40]!r} is none of {', '.join(PageWish)}, nor a size such as 2048, 2MB "
            "or 1GB"
        )
    number, prefix, _, unit = found.groups()
    if not prefix and not unit:
        return _whole(int(number), text, key)
    # Kilo is 1024 here whatever its letter, as oslo.utils has it for IEC.
    size_bytes = int(number) * 1024 ** _POWERS.get(prefix or "", 0) // (8 if unit in _BITS else 1)
    if size_bytes % 1024:
        raise Invalid(f"{key} {text[:40]!r} is no whole number of KiB")
    return _whole(size_bytes // 1024, text, key)


def _whole(size_kib: int, text: str, key: str) -> int:
    if size_kib < 1:
        raise Invalid(f"{key} {text[:40]!r} is less than 1 KiB")
    return size_kib


@dataclass(frozen=True, slots=True)
class ReservedPages:
    """Pages of one NUMA node that are kept from guests."""

    node: int
    size_kib: int
    count: int


_RESERVED_KEYS = ("node", "size", "count")
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)


def parse_reserved_pages(text: str) -> ReservedPages:
    """Read ``node:0,size:2048,count:64``, in any order; the size as in ``hw:mem_page_size``.

    Raises:
        Invalid: a key is missing, unknown or there twice, or a value is no number.

    Source: nova ``virt/hardware.py``, numa_get_reserved_huge_pages.
    """
    parts = [part.partition(":") for part in text.split(",")]
    said = {key.strip(): value.strip() for key, _, value in parts}
    if len(parts) != len(_RESERVED_KEYS) or set(said) != set(_RESERVED_KEYS):
        raise Invalid(
            f"{text[:60]!r} is not node:N,size:SIZE,count:N, such as node:0,size:2048,count:64"
        )
    for key in ("node", "count"):
        if not _COUNT.fullmatch(said[key]):
            raise Invalid(f"{text[:60]!r}: {key} {said[key][:40]!r} is no whole number")
    size = parse_page_size(said["size"], "size")
    if isinstance(size, PageWish):
        raise Invalid(f"{text[:60]!r}: size {size} is no size")
    return ReservedPages(int(said["node"]), size, int(said["count"]))
