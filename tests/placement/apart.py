"""Where the two are known to part, and why that is right.

A reason here takes one kind of answer out of the comparison, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from placement.world import Query

_CANDIDATES = "/allocation_candidates"
_REFUSED = 400
_BROKEN = 500


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what both answered: status, and body or error code."""

    method: str
    path: str
    body: Any
    minor: int
    theirs: tuple[int, Any]
    ours: tuple[int, Any]

    @property
    def both_refused(self) -> bool:
        return _REFUSED <= self.ours[0] < _BROKEN and self.theirs[0] >= _REFUSED


def peer_miscounts(query: Query) -> bool:
    """Whether Placement may ask too much of a provider: a class in several groups, not "none".

    It adds up amounts in objects that candidates share, and copies them for ``group_policy=none``
    only. Source: placement ``objects/research_context.py``, ``copy_arr_if_needed``.
    """
    classes = [
        item.split(":")[0]
        for name, value in query.parameters
        if name.startswith("resources")
        for item in value.split(",")
    ]
    return len(set(classes)) < len(classes) and ("group_policy", "none") not in query.parameters


def _peer_breaks(exchange: Exchange) -> bool:
    return exchange.theirs[0] == _BROKEN and exchange.ours[0] < _BROKEN


_REFUSALS = (
    # Where two things are wrong at once: method, end of the path, Placement's status, ours.
    ("POST", r"/resource_providers", 400, 409),  # no such parent; the name is taken
    ("PUT", r"/resource_providers/[^/]+", 400, 409),  # a loop; the name is taken
    ("DELETE", r"/resource_providers/[^/]+", 409, 409),  # it has children; it is in use
    ("PUT", r"/traits", 409, 400),  # stale generation; no such trait
    ("PUT", r"/inventories", 409, 400),  # stale generation; more reserved than there is
    ("PUT", r"/inventories/[^/]+", 409, 400),  # the same, or no such record
    ("PUT", r"/allocations/[^/]+", 400, 409),  # no such provider; another one is full
    ("POST", r"/allocations", 400, 409),
    ("POST", r"/reshaper", 400, 409),  # the same
    ("GET", rf"{_CANDIDATES}\?.*", 400, 400),  # the same status with another code
)


def _another_refusal_first(exchange: Exchange) -> bool:
    answered = (exchange.method, exchange.theirs[0], exchange.ours[0])
    return any(
        answered == (method, theirs, ours) and re.search(f"{path}$", exchange.path) is not None
        for method, path, theirs, ours in _REFUSALS
    )


KNOWN: dict[str, Callable[[Exchange], bool]] = {
    "Placement breaks (500)": _peer_breaks,
    # Which one is told first is nobody's contract; nothing is changed either way.
    "of two reasons to refuse, another comes first": _another_refusal_first,
}


def known(exchange: Exchange) -> str:
    """The reason for which these answers may differ; empty when there is none."""
    return next((reason for reason, applies in KNOWN.items() if applies(exchange)), "")
