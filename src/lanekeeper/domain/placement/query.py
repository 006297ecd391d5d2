"""What a client asks candidates for: groups of resources with traits, aggregates and trees."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.provider import Provider

_RESOURCE = re.compile(r"([A-Z0-9_]{1,255}):([0-9]{1,10})", re.ASCII)
_TRAIT = re.compile(r"[A-Z0-9_]{1,255}", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F-]{32,36}", re.ASCII)

BAD_VALUE = "placement.query.bad_value"
MISSING_VALUE = "placement.query.missing_value"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Clauses that must all hold: one name of each inner set, and none of *forbidden*."""

    required: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = frozenset()

    def accepts(self, names: frozenset[str]) -> bool:
        return not (self.forbidden & names) and all(clause & names for clause in self.required)

    @property
    def names(self) -> frozenset[str]:
        return self.forbidden.union(*self.required)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One ``resourcesS`` and what belongs to it.

    Attributes:
        suffix: ``""`` for the group that may be spread over a tree.
        in_tree: any member of the tree that must serve the group, or empty.
    """

    suffix: str
    resources: tuple[tuple[str, int], ...] = ()
    traits: AnyOf = AnyOf()
    aggregates: AnyOf = AnyOf()
    in_tree: str = ""

    def admits(self, provider: Provider) -> bool:
        """Whether *provider* alone has the traits and the aggregates; resources not looked at."""
        return self.traits.accepts(provider.traits) and self.aggregates.accepts(provider.aggregates)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateQuery:
    """A whole request for allocation candidates.

    Attributes:
        nested: whether more than one provider of a tree may give something (microversion 1.29).
    """

    groups: tuple[Group, ...]
    nested: bool = True
    isolate: bool = False
    root_traits: AnyOf = AnyOf()
    same_subtrees: tuple[tuple[str, ...], ...] = ()
    limit: int | None = None


def parse_resources(text: str) -> tuple[tuple[str, int], ...]:
    """Read ``VCPU:1,MEMORY_MB:512``.

    Raises:
        Invalid: a malformed item, an amount below 1, or a class named twice.
    """
    amounts: dict[str, int] = {}
    for item in text.split(","):
        found = _RESOURCE.fullmatch(item.strip())
        if found is None or int(found[2]) < 1:
            raise Invalid(f"Malformed resource {item!r}: CLASS:AMOUNT with AMOUNT >= 1 is right")
        if found[1] in amounts:
            raise Invalid(f"resource class {found[1]} is asked for twice")
        amounts[found[1]] = int(found[2])
    return tuple(amounts.items())


def parse_traits(values: Sequence[str], *, any_of: bool = True) -> AnyOf:
    """Read ``A,!B`` and ``in:A,B``; the values of a repeated parameter are ANDed.

    Raises:
        Invalid: malformed, or a trait both required and forbidden.
    """
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        if value.startswith("in:"):
            if not any_of:
                raise Invalid(f"in: is not understood here: {value!r}")
            required.append(frozenset(_trait(item) for item in value[3:].split(",")))
            continue
        for item in value.split(","):
            if item.startswith("!"):
                forbidden.add(_trait(item[1:]))
            else:
                required.append(frozenset({_trait(item)}))
    for clause in required:
        if clause <= forbidden:
            names = ", ".join(sorted(clause))
            raise Invalid(f"required traits conflict with forbidden ones: {names}", code=BAD_VALUE)
    return AnyOf(tuple(required), frozenset(forbidden))


def _trait(text: str) -> str:
    if not _TRAIT.fullmatch(text.strip()):
        raise Invalid(f"Invalid query string parameters: {text!r} is not a trait")
    return text.strip()


def parse_aggregates(values: Iterable[str]) -> AnyOf:
    """Read ``UUID``, ``in:A,B``, ``!A`` and ``!in:A,B``; repeated values are ANDed.

    Raises:
        Invalid: not UUIDs.
    """
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        bare = value.removeprefix("!")
        names = bare.removeprefix("in:").split(",") if bare.startswith("in:") else [bare]
        for name in names:
            if not _UUID.fullmatch(name):
                raise Invalid(f"Expected 'member_of' to contain valid UUIDs, not {name!r}")
        if value.startswith("!"):
            forbidden.update(names)
        else:
            required.append(frozenset(names))
    return AnyOf(tuple(required), frozenset(forbidden))


def check_query(query: CandidateQuery) -> None:
    """Refuse what cannot be meant.

    Raises:
        Invalid: no resources at all, a group that only has traits and is not in a same_subtree, or
            a same_subtree that names no such group.
    """
    if not any(group.resources for group in query.groups):
        raise Invalid("At least one group must have `resources`.", code=MISSING_VALUE)
    suffixes = {group.suffix for group in query.groups}
    listed = {suffix for subtree in query.same_subtrees for suffix in subtree}
    if unknown := listed - suffixes:
        raise Invalid(
            f"same_subtree names groups that are not there: {', '.join(sorted(unknown))}",
            code=BAD_VALUE,
        )
    for group in query.groups:
        if not group.resources and group.suffix not in listed:
            raise Invalid(
                f"All traits and member_of parameters must be associated with resources; "
                f"group {group.suffix!r} has none",
                code=BAD_VALUE,
            )
