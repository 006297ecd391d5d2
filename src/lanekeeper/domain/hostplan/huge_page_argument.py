"""Kernel arguments about huge pages: the order of the words says which size a count is of.

Source: Linux mm/hugetlb.c, hugepages_setup(), hugepagesz_setup(), default_hugepagesz_setup(): a
count is of the size before it, without one of the default size; the first of each size counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

KEYS = frozenset(("default_hugepagesz", "hugepagesz", "hugepages"))
_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}


@dataclass(slots=True)
class Pools:
    """What the kernel makes of a command line.

    Attributes:
        default: the default size in bytes; empty where the architecture's own is it.
        counts: by size in bytes, empty for that own one; None where a size has no count.
    """

    default: str = ""
    counts: dict[str, str | None] = field(default_factory=dict)


def is_huge(argument: str) -> bool:
    return argument.partition("=")[0] in KEYS


def pools(arguments: Iterable[str]) -> Pools:
    """Return what counts of *arguments*: words that the kernel passes over are not in it."""
    return _read(arguments)[0]


def taken(arguments: Iterable[str]) -> tuple[str, ...]:
    """Return *arguments* without those about huge pages that the kernel passes over."""
    return tuple(_read(arguments)[1])


def _read(arguments: Iterable[str]) -> tuple[Pools, list[str]]:
    """Return what counts, and the words that the kernel takes, with those of other things."""
    found, size, last, is_valid = Pools(), "", None, True
    words: list[str] = []
    for word in arguments:
        key, _, value = word.partition("=")
        is_taken = True
        if key == "hugepages":
            is_taken = is_valid and size != last
            if is_taken:
                found.counts[size] = value
                last = size
            is_valid = True
        elif is_huge(word):
            of = _bytes(value)
            if key == "default_hugepagesz":
                is_valid = not found.default
                if is_valid:
                    found.default, size = of, of
                    found.counts.setdefault(of, found.counts.pop("", None))
            else:
                is_valid = found.counts.get(of) is None and (
                    of not in found.counts or of == found.default
                )
                size = of if is_valid else size
                found.counts.setdefault(of, None)
            is_taken = is_valid
        if is_taken:
            words.append(word)
    return found, words


def pools_hold(wanted: tuple[str, ...], arguments: tuple[str, ...]) -> bool:
    """Whether the kernel takes of *arguments* all that *wanted* says of huge pages."""
    asked, given = pools(wanted), pools(arguments)
    return (not asked.default or asked.default == given.default) and all(
        (at := size or given.default) in given.counts and count in (None, given.counts[at])
        for size, count in asked.counts.items()
    )


def without_pools(wanted: tuple[str, ...], arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return *arguments* without what they say of the sizes in *wanted*."""
    return tuple(_kept(pools(wanted), arguments))


def _kept(asked: Pools, arguments: tuple[str, ...]) -> Iterator[str]:
    size = ""
    for word in arguments:
        key, _, value = word.partition("=")
        if key in ("hugepagesz", "default_hugepagesz"):
            size = _bytes(value)
            if size in asked.counts:
                continue
            # Its count stays with its size, which is the default no more.
            is_replaced = key == "default_hugepagesz" and asked.default
            yield f"hugepagesz={value}" if is_replaced else word
        elif key != "hugepages" or not (size in asked.counts or (not size and asked.default)):
            yield word


def _bytes(size: str) -> str:
    number, unit = size[:-1], size[-1:].upper()
    if unit in _UNITS and number.isdecimal():
        return str(int(number) << _UNITS[unit])
    return size
