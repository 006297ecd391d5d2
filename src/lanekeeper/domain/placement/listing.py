"""Resource providers in lists: what one is without its contents, and which are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lanekeeper.domain.placement.query import ANYTHING, AnyOf


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow:
    """A provider without inventories, traits and aggregates.

    Attributes:
        owner: ``api`` for one that clients made, ``host`` or ``device``.
    """

    id: str
    name: str
    parent_id: str | None
    root_id: str
    generation: int
    owner: str
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFilter:
    """What each provider of a list has to be on its own; empty parts do not matter.

    Attributes:
        in_tree: any member of the tree that it must belong to.
        resources: class to units, all of which it must have free.
    """

    name: str = ""
    id: str = ""
    in_tree: str = ""
    resources: tuple[tuple[str, int], ...] = ()
    traits: AnyOf = ANYTHING
    aggregates: AnyOf = ANYTHING
