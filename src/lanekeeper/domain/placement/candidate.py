"""Searching allocation candidates: who could give what, in which combination."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from lanekeeper.domain.placement.provider import Forest, Provider
from lanekeeper.domain.placement.query import CandidateQuery, Group


@dataclass(frozen=True, slots=True)
class Share:
    """What one group takes from which providers: ((provider id, class, amount), …)."""

    suffix: str
    parts: tuple[tuple[str, str, int], ...]
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to serve the whole query.

    Attributes:
        anchor: root of the tree that was searched; of no account for what is allocated.
        amounts: (provider id, class) to units, all groups added up.
        mappings: suffix to the providers that serve the group.
    """

    anchor: str = field(compare=False)
    amounts: tuple[tuple[tuple[str, str], int], ...]
    mappings: tuple[tuple[str, tuple[str, ...]], ...]


def search(forest: Forest, query: CandidateQuery) -> tuple[Candidate, ...]:
    """Find the candidates of *query*, at most ``query.limit`` of them, no two equal.

    Source: the rules of Placement's API reference, "List allocation candidates".
    """
    found: dict[Candidate, None] = {}
    for candidate in _all(forest, query):
        found.setdefault(candidate)
        if query.limit is not None and len(found) >= query.limit:
            break
    return tuple(found)


def _all(forest: Forest, query: CandidateQuery) -> Iterator[Candidate]:
    for root_id in sorted(forest.trees):
        root = forest.by_id[root_id]
        if not query.root_traits.accepts(root.traits):
            continue
        choices = [list(_choices(forest, root_id, group)) for group in query.groups]
        if not all(choices):
            continue
        for shares in product(*choices):
            if _goes_together(forest, query, shares):
                yield _candidate(root_id, shares)


def _choices(forest: Forest, root_id: str, group: Group) -> Iterator[Share]:
    tree = forest.trees[root_id]
    if group.in_tree:
        wanted = forest.root_of(group.in_tree)
        pool = tree if wanted == root_id else ()
        if wanted is not None and wanted != root_id:
            pool = tuple(p for p in forest.sharing_with(root_id) if p.root_id == wanted)
    else:
        pool = (*tree, *forest.sharing_with(root_id))
    yield from _alone(pool, group) if group.suffix else _spread(forest, root_id, pool, group)


def _alone(pool: tuple[Provider, ...], group: Group) -> Iterator[Share]:
    resources = dict(group.resources)
    for provider in pool:
        if group.admits(provider) and provider.fits(resources):
            parts = tuple((provider.id, name, amount) for name, amount in group.resources)
            yield Share(group.suffix, parts, (provider.id,))


def _spread(
    forest: Forest, root_id: str, pool: tuple[Provider, ...], group: Group
) -> Iterator[Share]:
    """Each class from any provider of the tree; traits are covered by all that are used."""
    root = forest.by_id[root_id]
    givers: list[list[Provider]] = []
    for name, amount in group.resources:
        givers.append(
            [
                provider
                for provider in pool
                if provider.fits({name: amount})
                and not provider.traits & group.traits.forbidden
                and group.aggregates.accepts(_membership(provider, root))
            ]
        )
    for chosen in product(*givers):
        traits = frozenset().union(*(provider.traits for provider in chosen))
        if chosen and all(clause & traits for clause in group.traits.required):
            parts = tuple(
                (provider.id, name, amount)
                for provider, (name, amount) in zip(chosen, group.resources, strict=True)
            )
            yield Share(group.suffix, parts, tuple(dict.fromkeys(p.id for p in chosen)))


def _membership(provider: Provider, root: Provider) -> frozenset[str]:
    """Aggregates that count for the unsuffixed group: the provider's own and its root's."""
    if provider.root_id == root.id:
        return provider.aggregates | root.aggregates
    return provider.aggregates


def _goes_together(forest: Forest, query: CandidateQuery, shares: tuple[Share, ...]) -> bool:
    suffixed = [share for share in shares if share.suffix]
    if query.isolate:
        used = Counter(provider for share in suffixed for provider in share.providers)
        if any(count > 1 for count in used.values()):
            return False
    by_suffix = {share.suffix: share for share in shares}
    for suffixes in query.same_subtrees:
        chosen = {p for suffix in suffixes for p in by_suffix[suffix].providers}
        if not _one_above_all(forest, chosen):
            return False
    return _fits_added_up(forest, shares)


def _one_above_all(forest: Forest, chosen: set[str]) -> bool:
    lines = [frozenset(forest.lineage(provider)) for provider in chosen]
    return any(all(top in line for line in lines) for top in chosen)


def _fits_added_up(forest: Forest, shares: tuple[Share, ...]) -> bool:
    for (provider_id, name), amount in _added_up(shares).items():
        inventory = forest.by_id[provider_id].inventories[name]
        if amount > inventory.max_unit or inventory.used + amount > inventory.capacity:
            return False
    return True


def _added_up(shares: tuple[Share, ...]) -> Mapping[tuple[str, str], int]:
    amounts: Counter[tuple[str, str]] = Counter()
    for share in shares:
        for provider_id, name, amount in share.parts:
            amounts[provider_id, name] += amount
    return amounts


def _candidate(root_id: str, shares: tuple[Share, ...]) -> Candidate:
    return Candidate(
        anchor=root_id,
        amounts=tuple(sorted(_added_up(shares).items())),
        mappings=tuple((share.suffix, share.providers) for share in shares),
    )


def involved_trees(forest: Forest, candidates: tuple[Candidate, ...]) -> tuple[Provider, ...]:
    """Every provider of every tree that a candidate touches, for the summaries."""
    roots = {
        forest.by_id[provider_id].root_id
        for candidate in candidates
        for (provider_id, _), _ in candidate.amounts
    }
    return tuple(provider for root in sorted(roots) for provider in forest.trees[root])
