"""Kernel arguments about huge pages: the order of the words says which size a count is of.

Source: Linux mm/hugetlb.c, hugepages_setup(), hugepagesz_setup(), default_hugepagesz_setup(): a
count is of the size before it, without one of the default size; the first of each size counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

KEYS = frozenset(("default_hugepagesz", "hugepagesz", "hugepages"))
_SIZE = re.compile(r"(0x[0-9a-f]+|\d+)([kmgtpe]?)", re.IGNORECASE)
_UNITS = "kmgtpe"


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
    """Return what counts, and the words that the kernel takes, with those of other things.

    What makes a size the default makes it also that of the counts behind, unless it was named
    before; a count before all sizes is then of the default size, whatever that had.
    """
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
            is_new = of not in found.counts
            if key == "default_hugepagesz":
                is_valid = bool(of) and not found.default
                if is_valid:
                    found.default = of
                    size = of if is_new else size
                    given = found.counts.pop("", None)
                    if _is_some(given) or is_new:
                        found.counts[of] = given
            else:
                is_default = of == found.default and not _is_some(found.counts.get(of))
                is_valid = bool(of) and (is_new or is_default)
                size = of if is_valid else size
                if is_valid:
                    found.counts.setdefault(of, None)
            is_taken = is_valid
        if is_taken:
            words.append(word)
    return found, words


def _is_some(count: str | None) -> bool:
    return count is not None and count != "0"


def pools_hold(wanted: tuple[str, ...], arguments: tuple[str, ...]) -> bool:
    """Whether the kernel takes of *arguments* all that *wanted* says of huge pages."""
    asked, given = pools(wanted), pools(arguments)
    return (not asked.default or asked.default == given.default) and all(
        (at := size or given.default) in given.counts and count in (None, given.counts[at])
        for size, count in asked.counts.items()
    )


def without_pools(wanted: tuple[str, ...], arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return *arguments* without what they say of the sizes that *wanted* has counts of.

    The rest stays as it stands where nothing of it goes; else what the kernel takes of it stands
    behind the other words, each size with its count. So it does not come to mean another size.
    """
    asked, given = pools(wanted), pools(arguments)
    replaced = {size or given.default for size, count in asked.counts.items() if count is not None}
    if asked.default:
        replaced.add("")  # what the architecture's own size is, no word can say
    is_redefined = asked.default and given.default
    if not is_redefined and replaced.isdisjoint(given.counts):
        return arguments
    others = (word for word in arguments if not is_huge(word))
    return (*others, *_said(given, replaced, keeps_default=not asked.default))


def _said(given: Pools, without: set[str], *, keeps_default: bool) -> Iterator[str]:
    """Say what is *given* of all sizes but some, the default's first."""
    for size in sorted(given.counts, key=lambda each: each not in ("", given.default)):
        if size and size == given.default and keeps_default:
            yield f"default_hugepagesz={_spelled(size)}"
        elif size and size not in without:
            yield f"hugepagesz={_spelled(size)}"
        count = given.counts[size]
        if count is not None and size not in without:
            yield f"hugepages={count}"


def _spelled(size: str) -> str:
    """Return the shortest spelling: 1G."""
    number, unit = int(size), ""
    for each in _UNITS.upper():
        if number % 1024:
            break
        number, unit = number // 1024, each
    return f"{number}{unit}"


def _bytes(size: str) -> str:
    """Return the number of bytes as the kernel reads it; empty for no size of pages.

    What stands behind the unit is passed over: ``1GB`` is ``1G``. Source: Linux lib/cmdline.c,
    memparse().
    """
    found = _SIZE.match(size)
    if found is None:
        return ""
    digits = found[1].lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    try:
        number = int(digits, base)
    except ValueError:  # 08 is 0, and 8 passed over
        return ""
    number <<= 10 * (_UNITS.index(found[2].lower()) + 1 if found[2] else 0)
    return str(number) if number and not number & (number - 1) else ""
