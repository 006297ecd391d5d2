"""Scopes of extra specs, what comes before the first colon, and what is nearly one.

A scope that nobody knows is a note of the operator's. One that is a slip of a scope that is
honoured gives a guest without what its flavor seems to ask for, so it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lanekeeper.domain.errors import Invalid, NotOffered
from lanekeeper.domain.pci.spec_key import slips

_HONOURED = (
    "pci_passthrough",
    "hw",
    "quota",
    "capabilities",
    "aggregate_instance_extra_specs",
    "lanekeeper",
)
_SHORT, _LONG = 5, 10
"""Words from these lengths on may differ by one, and by two letters; shorter ones in case."""


def scope_meant(key: str) -> str | None:
    """Return the honoured scope that the one of *key* is a slip of; None where it is none."""
    scope, colon, _ = key.partition(":")
    return near_word(scope, _HONOURED) if colon and scope not in _HONOURED else None


def near_word(text: str, words: Iterable[str]) -> str | None:
    """Return the one of *words* that *text* is a slip of; None where it is of none."""
    bare = _bare(text)
    near = [
        (wrong, word)
        for word in words
        if abs(len(bare) - len(word)) <= _allowed(word)
        and (wrong := slips(bare, _bare(word))) <= _allowed(word)
    ]
    return min(near)[1] if near else None


def check_scopes(specs: Mapping[str, str]) -> None:
    """Check scopes of a flavor's extra specs, whatever version of the API sets them.

    Raises:
        Invalid: one is a slip of a scope that is honoured.
    """
    for key in specs:
        if meant := scope_meant(key):
            raise Invalid(f"extra spec {key[:60]} does not exist", hint=_did_you_mean(key, meant))


def check_scope_offered(flavor_name: str, key: str) -> None:
    """The same of a flavor that has been there for longer.

    Raises:
        NotOffered: the scope is a slip of one that is honoured.
    """
    if meant := scope_meant(key):
        raise NotOffered(
            f"flavor {flavor_name} has the extra spec {key[:60]}, which has no effect",
            hint=_did_you_mean(key, meant),
        )


def _did_you_mean(key: str, meant: str) -> str:
    return f"did you mean {meant}:{key.partition(':')[2][:60]}?"


def _allowed(word: str) -> int:
    return (len(word) >= _SHORT) + (len(word) >= _LONG)


def _bare(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_").replace(".", "_")
