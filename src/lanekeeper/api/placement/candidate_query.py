"""The query of ``/allocation_candidates``: its groups, and everything that can be wrong with it.

Source: placement ``lib.py`` and ``schemas/allocation_candidate.py``; messages that its tests
compare are its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from lanekeeper.api.placement.query import aggregates_asked, traits_asked
from lanekeeper.api.placement.schema import Form, text
from lanekeeper.api.row import Call
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.query import (
    BAD_VALUE,
    AnyOf,
    CandidateQuery,
    Group,
    check_conflicts,
    check_orphans,
    check_query,
    parse_resources,
    parse_traits,
    parse_tree,
)

DUPLICATE_KEY = "placement.query.duplicate_key"
_LIMIT_SINCE, _REQUIRED_SINCE, _MEMBER_SINCE, _FORBIDDEN_SINCE = 16, 17, 21, 22
_GROUPS_SINCE, _NESTED_SINCE, _TREE_SINCE, _WORDS_SINCE = 25, 29, 31, 33
_ROOT_SINCE, _SUBTREE_SINCE = 35, 36
_LIMIT_MAX = 2**31 - 1
_GROUPS_MAX = 256
"""Nova asks for one or two a device; a search costs in proportion to their square."""
_PREFIXES = ("resources", "required", "member_of", "in_tree")
_NUMBERS, _WORDS = "[1-9][0-9]*", "[a-zA-Z0-9_-]{1,64}"


def read_query(call: Call[Any]) -> CandidateQuery:
    """Read the whole query.

    Raises:
        Invalid: anything that is wrong with it, names of classes and traits apart.
    """
    minor = call.microversion.minor
    asked: dict[str, list[str]] = defaultdict(list)
    for name, value in call.query:
        asked[name].append(value)
    last = {name: values[-1] for name, values in asked.items()}
    _form(minor).check(last, "Invalid query string parameters")
    subtrees = _subtrees(asked.get("same_subtree", []))
    root_traits = _root_traits(asked.get("root_required", []))
    groups = _groups(asked, minor)
    if len(groups) > _GROUPS_MAX:
        raise Invalid(f"{len(groups)} request groups; at most {_GROUPS_MAX} are searched for")
    policy, *_ = asked.get("group_policy", [None])  # of these two the first value counts
    limit, *_ = asked.get("limit", [None])
    query = CandidateQuery(
        groups=groups,
        isolate=policy == "isolate",
        root_traits=root_traits,
        same_subtrees=subtrees,
        nested=minor >= _NESTED_SINCE,
        limit=None if limit is None else _limit(limit),
    )
    _check_together(query, minor)
    if policy is None and sum(bool(group.suffix) for group in groups) > 1:
        raise Invalid(
            'The "group_policy" parameter is required when specifying more than one '
            '"resources{N}" parameter.'
        )
    return query


def _check_together(query: CandidateQuery, minor: int) -> None:
    if minor >= _SUBTREE_SINCE:
        check_query(query)
        return
    check_orphans(query.groups)
    if minor >= _FORBIDDEN_SINCE:
        check_conflicts(query.groups)


@cache
def _form(minor: int) -> Form:
    """The schema of the parameters at a microversion."""
    properties: dict[str, Any] = {}
    patterns: dict[str, Any] = {}
    if minor < _GROUPS_SINCE:
        since = (("resources", 0), ("required", _REQUIRED_SINCE), ("member_of", _MEMBER_SINCE))
        properties |= {name: text() for name, first in since if minor >= first}
    else:
        suffix = _WORDS if minor >= _WORDS_SINCE else _NUMBERS
        prefixes = _PREFIXES if minor >= _TREE_SINCE else _PREFIXES[:3]
        patterns = {f"^{prefix}({suffix})?$": text() for prefix in prefixes}
        properties["group_policy"] = {"type": "string", "enum": ["none", "isolate"]}
    if minor >= _LIMIT_SINCE:
        properties["limit"] = text(1, pattern="^[1-9][0-9]*$")
    if minor >= _ROOT_SINCE:
        properties["root_required"] = text()
    if minor >= _SUBTREE_SINCE:
        properties["same_subtree"] = text()
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": ["resources"] if minor < _GROUPS_SINCE else [],
        "additionalProperties": False,
    }
    if patterns:
        schema["patternProperties"] = patterns
    return Form(schema)


def _limit(asked: str) -> int:
    """No answer has more than the largest number that is counted to here."""
    if not re.fullmatch("[1-9][0-9]*", asked):
        raise Invalid(f"Invalid query string parameters: limit {asked[:40]!r} is no whole number")
    return min(int(asked), _LIMIT_MAX) if len(asked) < 11 else _LIMIT_MAX  # noqa: PLR2004 digits


def _groups(asked: Mapping[str, Sequence[str]], minor: int) -> tuple[Group, ...]:
    suffix = _WORDS if minor >= _WORDS_SINCE else _NUMBERS
    key_of = re.compile(rf"(?:{'|'.join(_PREFIXES)})({suffix})?")
    keys = (key_of.fullmatch(name) for name in asked)
    suffixes = dict.fromkeys(key[1] or "" for key in keys if key is not None)
    return tuple(_group(asked, suffix, minor) for suffix in suffixes)


def _group(asked: Mapping[str, Sequence[str]], suffix: str, minor: int) -> Group:
    resources, required, members, trees = (
        asked.get(f"{prefix}{suffix}", ()) for prefix in _PREFIXES
    )
    return Group(
        suffix=suffix,
        resources=parse_resources(resources[-1]) if resources else (),
        traits=traits_asked(required, minor),
        aggregates=aggregates_asked(members, minor, suffix),
        in_tree=parse_tree(trees[-1]) if trees else "",
    )


def _root_traits(given: Sequence[str]) -> AnyOf:
    if not given:
        return AnyOf()
    if len(given) > 1:
        raise Invalid(
            "Query parameter 'root_required' may be specified only once.", code=DUPLICATE_KEY
        )
    if given[0].startswith("in:"):
        raise Invalid(
            "Invalid query string parameters: The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' is not "
            f"for root_required. Got: {given[0][:300]}"
        )
    traits = parse_traits(given)
    if both := [name for clause in traits.required for name in clause & traits.forbidden]:
        raise Invalid(
            f"Conflicting required and forbidden traits found in root_required: {', '.join(both)}",
            code=BAD_VALUE,
        )
    return traits


def _subtrees(given: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    subtrees = []
    for value in given:
        suffixes = dict.fromkeys(piece.strip() for piece in value.split(","))
        if "" in suffixes:
            raise Invalid(
                "Empty string (unsuffixed group) can not be specified in `same_subtree`",
                code=BAD_VALUE,
            )
        subtrees.append(tuple(suffixes))
    return tuple(subtrees)
