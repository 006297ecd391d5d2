"""What taking kernel arguments back means for one boot entry, by what it had and has. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lanekeeper.domain.hostplan.boot_loader import MULTIPLE, argument_group


@dataclass(frozen=True, slots=True)
class ArgumentUndo:
    """What to take out, what to give *back* behind the rest, and what others set, which stays."""

    gone: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def argument_undo(put: tuple[str, ...], had: tuple[str, ...], now: tuple[str, ...]) -> ArgumentUndo:
    """Return how an entry that *had* some arguments comes back to them.

    What it says of a key is ours only as long as it is what was *put*, word for word.
    """
    gone: list[str] = []
    back: list[str] = []
    others: list[str] = []
    for key in dict.fromkeys(map(argument_group, put)):
        ours, before, said = (_of(key, words) for words in (put, had, now))
        if key in MULTIPLE and key != "hugepages":
            gone += [word for word in ours if word in said and word not in before]
        elif not said or said == before:
            continue
        elif {*said} == {*ours}:
            gone += ours
            back += before
        else:
            others += said
    return ArgumentUndo(tuple(gone), tuple(back), tuple(others))


def _of(key: str, words: tuple[str, ...]) -> list[str]:
    return [word for word in words if argument_group(word) == key]
