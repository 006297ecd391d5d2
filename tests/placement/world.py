"""Worlds of resource providers and questions about them, drawn by Hypothesis.

Small on purpose: few names, small amounts, so that requests meet in the same places.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from hypothesis import strategies as st

SHARING = "MISC_SHARES_VIA_AGGREGATE"
PROVIDERS = tuple(str(uuid.uuid5(uuid.NAMESPACE_DNS, f"provider-{n}")) for n in range(7))
AGGREGATES = tuple(str(uuid.uuid5(uuid.NAMESPACE_DNS, f"aggregate-{n}")) for n in range(3))
UNKNOWN = str(uuid.uuid5(uuid.NAMESPACE_DNS, "nobody"))
CLASSES = ("VCPU", "SRIOV_NET_VF", "CUSTOM_A")
TRAITS = ("HW_NIC_SRIOV", "CUSTOM_T", "CUSTOM_U")
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Inventory:
    """One inventory's fields, as the API calls them."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = 8
    step_size: int = 1
    allocation_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider; *parent* is the index of an earlier one."""

    parent: int | None = None
    inventories: dict[str, Inventory] = field(default_factory=dict)
    traits: tuple[str, ...] = ()
    aggregates: tuple[str, ...] = ()


Claim = dict[int, dict[str, int]]
"""Index of a provider, class, units."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question: the microversion's minor, and the parameters in their order."""

    minor: int
    parameters: tuple[tuple[str, str], ...]
    path: str = "/allocation_candidates"


@dataclass(frozen=True, slots=True)
class World:
    """Providers, what consumers try to hold of them, and questions."""

    providers: tuple[Provider, ...]
    claims: tuple[Claim, ...]
    queries: tuple[Query, ...]


inventories = st.builds(
    Inventory,
    total=st.integers(1, 8),
    reserved=st.sampled_from((0, 0, 0, 1, 2)),
    min_unit=st.sampled_from((1, 1, 1, 2)),
    max_unit=st.sampled_from((8, 8, 1, 2, 3)),
    step_size=st.sampled_from((1, 1, 1, 2)),
    allocation_ratio=st.sampled_from((1.0, 1.0, 1.0, 0.5, 1.5, 2.0, 3.3)),
)
traits = st.lists(st.sampled_from(TRAITS), unique=True, max_size=2)
aggregates = st.lists(st.sampled_from(AGGREGATES), unique=True, max_size=2).map(tuple)
resources = st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 4), min_size=1, max_size=2)


@st.composite
def providers(draw: st.DrawFn, number: int | None = None) -> tuple[Provider, ...]:
    """A forest, parents before children, one in four of the providers sharing."""
    number = draw(st.integers(1, len(PROVIDERS))) if number is None else number
    forest: list[Provider] = []
    depths: list[int] = []
    for index in range(number):
        above = [None, *(at for at in range(index) if depths[at] < _DEPTH - 1)]
        parent = draw(st.sampled_from(above))
        depths.append(0 if parent is None else depths[parent] + 1)
        own = draw(traits) + ([SHARING] if draw(st.integers(0, 3)) == 3 else [])
        stock = draw(st.dictionaries(st.sampled_from(CLASSES), inventories, max_size=3))
        forest.append(Provider(parent, stock, tuple(own), draw(aggregates)))
    return tuple(forest)


def claims(number: int) -> st.SearchStrategy[Claim]:
    """Units of some of the first *number* providers; whether they fit is for the servers to say."""
    parts = st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 3), min_size=1, max_size=2)
    return st.dictionaries(st.integers(0, number - 1), parts, min_size=1, max_size=2)


def _member_of(minor: int) -> st.SearchStrategy[str]:
    one = st.sampled_from((*AGGREGATES, AGGREGATES[0], UNKNOWN))
    several = st.lists(one, min_size=1, max_size=2, unique=True).map(lambda a: f"in:{','.join(a)}")
    positive = one | several
    return positive | positive.map("!{}".format) if minor >= 32 else positive


def _required(minor: int) -> st.SearchStrategy[str]:
    name = st.sampled_from((*TRAITS, SHARING))
    word = name | name.map("!{}".format) if minor >= 22 else name
    words = st.lists(word, min_size=1, max_size=2, unique=True).map(",".join)
    if minor < 39:
        return words
    return words | st.lists(name, min_size=1, max_size=2, unique=True).map(
        lambda names: f"in:{','.join(names)}"
    )


@st.composite
def _group(draw: st.DrawFn, minor: int, suffix: str, number: int) -> list[tuple[str, str]]:
    """The parameters of one group, as many as the microversion knows."""
    found: list[tuple[str, str]] = []
    bare = minor >= 36 and suffix and draw(st.integers(0, 4)) == 4
    if not bare:
        found.append((f"resources{suffix}", _amounts(draw(resources))))
    if minor >= 17 and draw(st.booleans()):
        repeats = draw(st.integers(1, 2)) if minor >= 39 else 1
        found += [(f"required{suffix}", draw(_required(minor))) for _ in range(repeats)]
    if minor >= 21 and draw(st.integers(0, 2)) == 2:
        repeats = draw(st.integers(1, 2)) if minor >= 24 else 1
        found += [(f"member_of{suffix}", draw(_member_of(minor))) for _ in range(repeats)]
    if minor >= 31 and draw(st.integers(0, 4)) == 4:
        found.append((f"in_tree{suffix}", draw(st.sampled_from((*PROVIDERS[:number], UNKNOWN)))))
    return found


@st.composite
def queries(draw: st.DrawFn, number: int) -> Query:
    """A question about candidates that its microversion understands; now and then a wrong one."""
    minor = draw(st.sampled_from((39, 39, 39, 39, 36, 34, 33, 29, 28, 25, 21, 17, 12, 10)))
    suffixes = ["", "1", "2", "3"] if minor >= 25 else [""]
    if minor >= 33:
        suffixes.append("_x")
    chosen = draw(st.lists(st.sampled_from(suffixes), min_size=1, max_size=3, unique=True))
    parameters = [pair for suffix in chosen for pair in draw(_group(minor, suffix, number))]
    if minor >= 25 and (len(chosen) > 1 or draw(st.booleans())):
        policy = draw(st.sampled_from(("none", "isolate")))
        parameters.append(("group_policy", policy))
    if minor >= 35 and draw(st.integers(0, 4)) == 4:
        name = st.sampled_from(TRAITS)
        parameters.append(("root_required", draw(name | name.map("!{}".format))))
    named = [suffix for suffix in chosen if suffix]
    if minor >= 36 and named and draw(st.integers(0, 2)):
        parameters.append(("same_subtree", ",".join(named)))
    if draw(st.integers(0, 9)) == 9:
        minor = draw(st.sampled_from(range(10, 40)))
    return Query(minor, tuple(parameters))


@st.composite
def listings(draw: st.DrawFn, number: int) -> Query:
    """A question about providers, each judged alone."""
    minor = draw(st.sampled_from((39, 39, 32, 24, 22, 18, 14, 4, 3, 0)))
    filters: dict[str, tuple[int, st.SearchStrategy[str]]] = {
        "name": (0, st.sampled_from(("p0", "p1", "nobody"))),
        "uuid": (0, st.sampled_from((*PROVIDERS[:number], UNKNOWN))),
        "member_of": (3, _member_of(minor)),
        "resources": (4, resources.map(_amounts)),
        "in_tree": (14, st.sampled_from((*PROVIDERS[:number], UNKNOWN))),
        "required": (18, _required(minor)),
    }
    there = [name for name, (since, _) in filters.items() if minor >= since]
    chosen = draw(st.lists(st.sampled_from(there), max_size=2, unique=True))
    parameters = tuple((name, draw(filters[name][1])) for name in chosen)
    return Query(minor, parameters, "/resource_providers")


def _amounts(units: dict[str, int]) -> str:
    return ",".join(f"{name}:{amount}" for name, amount in units.items())


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A whole example."""
    forest = draw(providers())
    number = len(forest)
    asked = st.one_of(queries(number), queries(number), queries(number), listings(number))
    return World(
        forest,
        tuple(draw(st.lists(claims(number), max_size=3))),
        tuple(draw(st.lists(asked, min_size=1, max_size=6))),
    )
