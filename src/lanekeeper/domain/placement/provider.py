"""Resource providers as the search sees them: a forest with inventories, traits, aggregates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lanekeeper.domain.placement.inventory import Inventory

SHARING = "MISC_SHARES_VIA_AGGREGATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    id: str
    name: str
    parent_id: str | None
    root_id: str
    generation: int = 0
    inventories: Mapping[str, Inventory] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()

    def fits(self, resources: Mapping[str, int]) -> bool:
        """Whether this one provider has all of *resources* free."""
        return all(
            (inventory := self.inventories.get(name)) is not None and not inventory.refuses(amount)
            for name, amount in resources.items()
        )


@dataclass(frozen=True)
class Forest:
    """All providers at one moment."""

    by_id: Mapping[str, Provider]

    @classmethod
    def of(cls, providers: Iterable[Provider]) -> Forest:
        return cls({provider.id: provider for provider in providers})

    @cached_property
    def trees(self) -> Mapping[str, tuple[Provider, ...]]:
        """Root id to every provider of its tree, the root included."""
        trees: dict[str, list[Provider]] = {}
        for provider in self.by_id.values():
            trees.setdefault(provider.root_id, []).append(provider)
        return {root: tuple(members) for root, members in trees.items()}

    def root_of(self, provider_id: str) -> str | None:
        provider = self.by_id.get(provider_id)
        return None if provider is None else provider.root_id

    def lineage(self, provider_id: str) -> tuple[str, ...]:
        """The provider and its ancestors, nearest first."""
        line: list[str] = []
        current: str | None = provider_id
        while current is not None and current in self.by_id:
            line.append(current)
            current = self.by_id[current].parent_id
        return tuple(line)

    def sharing_with(self, root_id: str) -> tuple[Provider, ...]:
        """Sharing providers of other trees that one of this tree's shares an aggregate with."""
        mine = frozenset().union(*(member.aggregates for member in self.trees.get(root_id, ())))
        return tuple(
            provider
            for provider in self.by_id.values()
            if SHARING in provider.traits
            and provider.root_id != root_id
            and provider.aggregates & mine
        )
