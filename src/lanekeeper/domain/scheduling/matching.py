"""Giving each of several wishes one thing, so that the order of wishes never matters."""

from __future__ import annotations

from collections.abc import Sequence


def match_all(wishes: Sequence[Sequence[int]]) -> list[int] | None:
    """Give every wish a thing of its own; None when that cannot be.

    ``wishes[i]`` names the things that would do for wish *i*, the best first. A wish gets its best
    thing unless a later one can only be met by giving way.

    Source: augmenting paths; H. W. Kuhn, "The Hungarian Method for the Assignment Problem", 1955.
    """
    holder: dict[int, int] = {}
    for wish in range(len(wishes)):
        if not _augment(wishes, wish, holder):
            return None
    given = [0] * len(wishes)
    for thing, wish in holder.items():
        given[wish] = thing
    return given


def most_matched(wishes: Sequence[Sequence[int]]) -> int:
    """How many of the wishes can be met at the same time, at most."""
    holder: dict[int, int] = {}
    return sum(_augment(wishes, wish, holder) for wish in range(len(wishes)))


def _augment(wishes: Sequence[Sequence[int]], first: int, holder: dict[int, int]) -> bool:
    """Find a chain of exchanges that ends at a thing nobody holds, and make it so."""
    # By hand rather than by recursion: a chain may be as long as a host has devices.
    seen: set[int] = set()
    chain: list[tuple[int, int]] = []  # (wish, index of the thing it tries next)
    chain.append((first, 0))
    while chain:
        wish, index = chain[-1]
        if index == len(wishes[wish]):
            chain.pop()
            if chain:
                before, tried = chain[-1]
                chain[-1] = (before, tried + 1)
            continue
        thing = wishes[wish][index]
        if thing in seen:
            chain[-1] = (wish, index + 1)
            continue
        seen.add(thing)
        if thing in holder:
            chain.append((holder[thing], 0))
            continue
        for taker, choice in chain:
            holder[wishes[taker][choice]] = taker
        return True
    return False
