"""The candidate search as Placement does it: all choices of all groups multiplied out, then sieved.

Slow and plain; what the real search finds must be the same set.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

from lanekeeper.domain.placement.query import AnyOf, CandidateQuery, Group
from lanekeeper.domain.placement.snapshot import SHARING, Lines, Snapshot

Part = tuple[str, str, int]
Found = tuple[frozenset[Part], frozenset[tuple[str, frozenset[str]]]]


@dataclass(frozen=True)
class Inventory:
    capacity: int
    used: int = 0
    min_unit: int = 1
    max_unit: int = 1000
    step_size: int = 1

    def gives(self, amount: int) -> bool:
        return (
            self.used + amount <= self.capacity
            and self.min_unit <= amount <= self.max_unit
            and amount % self.step_size == 0
        )


@dataclass(frozen=True)
class Provider:
    id: str
    parent: str | None = None
    root: str = ""
    stock: dict[str, Inventory] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()


World = dict[str, Provider]


def world_of(providers: Iterable[Provider]) -> World:
    return {provider.id: provider for provider in providers}


def lines_of(providers: Iterable[Provider]) -> Lines:
    every = list(providers)
    return Lines(
        providers=[(p.id, p.parent, p.root) for p in every],
        stock=[
            (p.id, name, i.capacity, i.used, i.min_unit, i.max_unit, i.step_size)
            for p in every
            for name, i in p.stock.items()
        ],
        traits=[(p.id, trait) for p in every for trait in p.traits],
        aggregates=[(p.id, aggregate) for p in every for aggregate in p.aggregates],
    )


def snapshot_of(world: World) -> Snapshot:
    return Snapshot().with_lines(list(world), lines_of(world.values()))


def multiplied_out(world: World, query: CandidateQuery) -> set[Found]:
    return set(_all(world, query))


def _all(world: World, query: CandidateQuery) -> Iterator[Found]:
    nested = any(p.parent for p in world.values())
    for anchor in world.values():
        if anchor.parent is not None or not query.root_traits.accepts(anchor.traits):
            continue
        choices = [list(_choices(world, anchor, group)) for group in query.groups]
        for shares in product(*choices):
            amounts: Counter[tuple[str, str]] = Counter()
            for parts, _ in shares:
                for provider, name, amount in parts:
                    amounts[provider, name] += amount
            by_suffix = {
                group.suffix: providers
                for group, (_, providers) in zip(query.groups, shares, strict=True)
            }
            if (
                _apart(query, by_suffix)
                and all(_one_above_all(world, by_suffix, names) for names in query.same_subtrees)
                and all(_fits(world, key, amount) for key, amount in amounts.items())
                and (query.nested or not nested or _one_a_tree(world, {p for p, _ in amounts}))
            ):
                yield (
                    frozenset((p, name, amount) for (p, name), amount in amounts.items()),
                    frozenset(by_suffix.items()),
                )


def _choices(
    world: World, anchor: Provider, group: Group
) -> Iterator[tuple[tuple[Part, ...], frozenset[str]]]:
    tree = [p for p in world.values() if p.root == anchor.id]
    around = frozenset().union(*(p.aggregates for p in tree))
    lent = [
        p
        for p in world.values()
        if SHARING in p.traits and p.root != anchor.id and p.aggregates & around
    ]
    if group.suffix:
        yield from _alone(world, [*tree, *lent], group)
    else:
        yield from _spread(world, anchor, tree, [] if group.in_tree else lent, group)


def _in_tree(world: World, provider: Provider, group: Group) -> bool:
    if not group.in_tree:
        return True
    return group.in_tree in world and world[group.in_tree].root == provider.root


def _alone(
    world: World, pool: list[Provider], group: Group
) -> Iterator[tuple[tuple[Part, ...], frozenset[str]]]:
    for p in pool:
        if not (group.traits.accepts(p.traits) and group.aggregates.accepts(p.aggregates)):
            continue
        if group.resources:
            fits = all(name in p.stock and p.stock[name].gives(n) for name, n in group.resources)
            if not fits or not _in_tree(world, p, group):
                continue
        elif not (group.traits.required or group.aggregates.required):
            continue
        yield tuple((p.id, name, n) for name, n in group.resources), frozenset({p.id})


def _spread(
    world: World, anchor: Provider, tree: list[Provider], lent: list[Provider], group: Group
) -> Iterator[tuple[tuple[Part, ...], frozenset[str]]]:
    inside = AnyOf(group.aggregates.required)
    bad = group.aggregates.forbidden
    if bad & anchor.aggregates:
        return
    mine = [p for p in tree if inside.accepts(p.aggregates) or inside.accepts(anchor.aggregates)]
    pool = [*mine, *(p for p in lent if inside.accepts(p.aggregates))]
    pool = [p for p in pool if not p.aggregates & bad and _in_tree(world, p, group)]
    givers = [
        [p for p in pool if name in p.stock and p.stock[name].gives(n)]
        for name, n in group.resources
    ]
    for chosen in product(*givers):
        traits = frozenset().union(*(p.traits for p in chosen))
        if group.traits.accepts(traits):
            parts = tuple(
                (p.id, name, n) for p, (name, n) in zip(chosen, group.resources, strict=True)
            )
            yield parts, frozenset(p.id for p in chosen)


def _apart(query: CandidateQuery, by_suffix: dict[str, frozenset[str]]) -> bool:
    if not query.isolate:
        return True
    suffixed = [providers for suffix, providers in by_suffix.items() if suffix]
    return len(frozenset().union(*suffixed)) == len(suffixed)


def _one_above_all(
    world: World, by_suffix: dict[str, frozenset[str]], names: tuple[str, ...]
) -> bool:
    chosen = frozenset().union(*(by_suffix[name] for name in names))
    lines = [_line(world, provider) for provider in chosen]
    return any(all(top in line for line in lines) for top in chosen)


def _line(world: World, provider: str | None) -> list[str]:
    line = []
    while provider is not None:
        line.append(provider)
        provider = world[provider].parent
    return line


def _fits(world: World, key: tuple[str, str], amount: int) -> bool:
    inventory = world[key[0]].stock[key[1]]
    return amount <= inventory.max_unit and inventory.used + amount <= inventory.capacity


def _one_a_tree(world: World, providers: set[str]) -> bool:
    return len({world[p].root for p in providers}) == len(providers)
