"""What a client asks candidates for: groups of resources with traits, aggregates and trees."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lanekeeper.domain.errors import Invalid

BAD_VALUE = "placement.query.bad_value"
MISSING_VALUE = "placement.query.missing_value"
_SHOWN_MAX = 300  # characters of a value, in a message
_DIGITS_MAX = 40  # of an amount; far above what any provider has
_WRONG = "Invalid query string parameters: "
_RESOURCES = (
    "Badly formed resources parameter. Expected resources query string parameter in form: "
    "?resources=VCPU:2,MEMORY_MB:1024. Got: "
)


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


ANYTHING = AnyOf()


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


# Reading ------------------------------------------------------------------------------------------
# Source: placement ``util.py``, normalize_*; messages that its tests compare are its own.


def parse_resources(text: str) -> tuple[tuple[str, int], ...]:
    """Read ``VCPU:1,MEMORY_MB:512``; of a class named twice the last counts.

    Raises:
        Invalid: a malformed item, or an amount below 1.
    """
    if not text.strip():
        raise Invalid(f"{_RESOURCES}empty string.")
    amounts: dict[str, int] = {}
    for item in text.split(","):
        name, colon, number = item.partition(":")
        if not colon or ":" in number:
            raise Invalid(f"{_RESOURCES}{item[:_SHOWN_MAX]}.")
        amounts[name] = _amount(name[:_SHOWN_MAX], number.strip())
    return tuple(amounts.items())


def _amount(name: str, number: str) -> int:
    digits = number.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
        raise Invalid(
            f"Requested resource {name} expected positive integer amount. "
            f"Got: {number[:_DIGITS_MAX]}."
        )
    if (amount := int(number)) < 1:
        raise Invalid(f"Requested resource {name} requires amount >= 1. Got: {amount}.")
    return amount


def parse_traits(values: Iterable[str], *, may_forbid: bool = True, any_of: bool = True) -> AnyOf:
    """Read ``A,!B`` and ``in:A,B``; the values of a repeated parameter are ANDed.

    Raises:
        Invalid: malformed, or a form that is not understood where *may_forbid* or *any_of* is not.
    """
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        if value.startswith("in:"):
            required.append(_any_of(value, understood=any_of))
        else:
            wanted, unwanted = _all_of(value, may_forbid=may_forbid)
            required += wanted
            forbidden |= unwanted
    return AnyOf(tuple(required), frozenset(forbidden))


def _any_of(value: str, *, understood: bool) -> frozenset[str]:
    names = frozenset(name.strip() for name in value[3:].split(","))
    form, got = "The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC'", value[:_SHOWN_MAX]
    if not understood:
        raise Invalid(f"{_WRONG}{form} only supported since microversion 1.39. Got: {got}")
    if "" in names:
        raise Invalid(
            f"{_WRONG}Expected 'required' parameter value of the form: "
            f"in:HW_CPU_X86_VMX,CUSTOM_MAGIC. Got an empty trait in: {got}"
        )
    if any(name.startswith("!") for name in names):
        raise Invalid(f"{_WRONG}{form} does not support forbidden traits. Got: {got}")
    return names


def _all_of(value: str, *, may_forbid: bool) -> tuple[list[frozenset[str]], set[str]]:
    names = [name.strip() for name in value.split(",")]
    forbidden = {name.lstrip("!") for name in names if name.startswith("!")}
    form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC" if may_forbid else "HW_CPU_X86_VMX,CUSTOM_MAGIC"
    expected = f"{_WRONG}Expected 'required' parameter value of the form: {form}. "
    if "" in names or "" in forbidden:
        raise Invalid(f"{expected}Got an empty trait in: {value[:_SHOWN_MAX]}")
    if forbidden and not may_forbid:
        raise Invalid(f"{expected}Got: {value[:_SHOWN_MAX]}")
    return [frozenset({name}) for name in names if not name.startswith("!")], forbidden


def parse_aggregates(
    values: Sequence[str], *, repeated: bool = True, may_forbid: bool = True, suffix: str = ""
) -> AnyOf:
    """Read ``UUID``, ``in:A,B``, ``!A`` and ``!in:A,B``; repeated values are ANDed.

    Raises:
        Invalid: not UUIDs, or a form that is not understood where *repeated* or *may_forbid* is
            not.
    """
    if len(values) > 1 and not repeated:
        raise Invalid(f"Multiple member_of{suffix} parameters are not supported")
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        names = frozenset(map(_aggregate, _aggregates_listed(value)))
        if not value.startswith("!"):
            required.append(names)
        elif may_forbid:
            forbidden |= names
        else:
            raise Invalid(
                f"Forbidden member_of{suffix} parameters are not supported in the specified "
                "microversion"
            )
    return AnyOf(tuple(required), frozenset(forbidden))


def _aggregates_listed(value: str) -> list[str]:
    bare = value.removeprefix("!")
    if bare.startswith("in:"):
        return bare.removeprefix("in:").split(",")
    if "," in bare:
        raise Invalid(
            "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword "
            f"using the valid microversion. Got: {value[:_SHOWN_MAX]}"
        )
    return [bare]


def _aggregate(text: str) -> str:
    return _id(text, f"Expected 'member_of' parameter to contain valid UUID(s). Got: {text[:60]}")


def parse_tree(text: str) -> str:
    """Read the id of a provider whose tree is meant.

    Raises:
        Invalid: not a UUID.
    """
    wrong = f"Expected 'in_tree' parameter to be a format of uuid. Got: {text[:60]}"
    return _id(text.strip(), wrong)


def _id(text: str, wrong: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise Invalid(_WRONG + wrong) from error


# What does not go together ------------------------------------------------------------------------


def check_query(query: CandidateQuery) -> None:
    """Refuse what cannot be meant.

    Raises:
        Invalid: no resources at all, a group without that is not in a same_subtree, or a
            same_subtree that names no such group; a trait that must be there and must not.
    """
    listed = {suffix for subtree in query.same_subtrees for suffix in subtree}
    _check_suffixes(query.groups, listed)
    check_conflicts(query.groups)


def _check_suffixes(groups: Collection[Group], listed: Collection[str]) -> None:
    if not any(group.resources for group in groups):
        raise Invalid(
            "There must be at least one resources or resources[$S] parameter.",
            code=MISSING_VALUE,
        )
    bare = [group.suffix for group in groups if not group.resources and group.suffix not in listed]
    if bare:
        raise Invalid(
            "Resourceless suffixed group request should be specified in `same_subtree` query "
            f"param: bad group(s) - {_told(bare)}.",
            code=BAD_VALUE,
        )
    known = {group.suffix for group in groups}
    if unknown := sorted(set(listed) - known):
        raise Invalid(
            f"Real suffixes should be specified in `same_subtree`: {_told(unknown)} not found in "
            f"{_told(sorted(known))}.",
            code=BAD_VALUE,
        )


def check_orphans(groups: Collection[Group]) -> None:
    """Refuse groups that ask for no resources, which is understood only with a same_subtree.

    Raises:
        Invalid: there is one, or no group at all.
    """
    bare = [group for group in groups if not group.resources]
    if traits := [f"required{group.suffix}" for group in bare if group.traits.required]:
        raise Invalid(
            "All traits parameters must be associated with resources.  Found the following "
            f"orphaned traits keys: {_told(traits)}"
        )
    if members := [f"member_of{group.suffix}" for group in bare if group.aggregates.names]:
        raise Invalid(
            "All member_of parameters must be associated with resources. Found the following "
            f"orphaned member_of keys: {_told(members)}"
        )
    if bare:
        raise Invalid("All request groups must specify resources.")
    if not groups:
        raise Invalid("At least one request group (`resources` or `resources{$S}`) is required.")


def check_conflicts(groups: Iterable[Group]) -> None:
    """Refuse traits that must be there and must not.

    Raises:
        Invalid: a group asks for that.
    """
    conflicts = sorted(
        f"required{group.suffix}: ({', '.join(sorted(clause))})"
        for group in groups
        for clause in group.traits.required
        if clause <= group.traits.forbidden
    )
    if conflicts:
        raise Invalid(
            "Conflicting required and forbidden traits found in the following traits keys: "
            f"{_told(conflicts)}"
        )


def _told(words: Iterable[str]) -> str:
    return ", ".join(words)[:_SHOWN_MAX]
