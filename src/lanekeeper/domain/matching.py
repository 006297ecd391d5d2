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
    chain = [(first, iter(wishes[first]))]
    asked: list[int] = []  # the thing that each wish of the chain, but the last, wants
    while chain:
        wish, things = chain[-1]
        free = next((thing for thing in wishes[wish] if thing not in holder), None)
        if free is not None:
            for (taker, _), thing in zip(chain, [*asked, free], strict=True):
                holder[thing] = taker
            return True
        wanted = next((thing for thing in things if thing not in seen), None)
        if wanted is None:
            chain.pop()
            if asked:
                asked.pop()
            continue
        seen.add(wanted)
        asked.append(wanted)
        chain.append((holder[wanted], iter(wishes[holder[wanted]])))
    return False
