"""Query parameters that lists of providers and allocation candidates have in common.

Which forms of them there are depends on the microversion.
"""

from __future__ import annotations

from collections.abc import Sequence

from lanekeeper.domain.placement.query import AnyOf, parse_aggregates, parse_traits

_FORBIDDEN_TRAITS_SINCE, _ANY_OF_SINCE = 22, 39
_REPEATED_SINCE, _FORBIDDEN_AGGREGATES_SINCE = 24, 32


def traits_asked(values: Sequence[str], minor: int) -> AnyOf:
    """Read every ``required`` of a group; before 1.39 only the last one counts.

    Raises:
        Invalid: malformed, or of a form that this microversion has not.
    """
    any_of = minor >= _ANY_OF_SINCE
    return parse_traits(
        values if any_of else values[-1:],
        may_forbid=minor >= _FORBIDDEN_TRAITS_SINCE,
        any_of=any_of,
    )


def aggregates_asked(values: Sequence[str], minor: int, suffix: str = "") -> AnyOf:
    """Read every ``member_of`` of a group.

    Raises:
        Invalid: malformed, or of a form that this microversion has not.
    """
    return parse_aggregates(
        values,
        repeated=minor >= _REPEATED_SINCE,
        may_forbid=minor >= _FORBIDDEN_AGGREGATES_SINCE,
        suffix=suffix,
    )
