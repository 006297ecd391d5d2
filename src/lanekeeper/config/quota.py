"""What projects may have where no limit is registered, with Nova's names."""

from __future__ import annotations

from typing import Annotated

from lanekeeper.config.option import Option, Section
from lanekeeper.config.value import one_of, split_list
from lanekeeper.domain.compute.quota import Strategy, Unregistered, parse_resource

_NOOP = "nova.quota.NoopQuotaDriver"
_UNIFIED = "nova.quota.UnifiedLimitsDriver"
_OLD = "nova.quota.DbQuotaDriver"


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(parse_resource(piece) for piece in split_list(text))


class Quota(Section, frozen=True):
    """Limits are Identity's (``openstack registered limit``, ``openstack limit``); ``[quota]`` says
    what holds where there is none.
    """

    driver: Annotated[
        str,
        Option(
            "quota",
            "driver",
            f"{_UNIFIED} holds projects to their limits, {_NOOP} to none. {_OLD}, Nova's "
            "default, is read as the former: the numbers of its own keys, such as instances, hold "
            "nothing here.",
            parse=one_of(_UNIFIED, _NOOP, _OLD),
        ),
    ] = _UNIFIED
    unified_limits_resource_strategy: Annotated[
        Strategy,
        Option(
            "quota",
            "unified_limits_resource_strategy",
            "With require nobody gets what is in unified_limits_resource_list and has no "
            "registered limit, and all else is without bound then; with ignore what is in the list "
            "is, and nobody gets anything else without a registered limit.",
        ),
    ] = Strategy.REQUIRE
    unified_limits_resource_list: Annotated[
        tuple[str, ...],
        Option(
            "quota",
            "unified_limits_resource_list",
            "Resources, separated by commas: servers, class:VCPU and so on, alias:NAME. Nova has "
            "servers here where unset; here it is none, so that nothing is limited at first.",
            parse=_parse_list,
        ),
    ] = ()

    @property
    def is_on(self) -> bool:
        """Whether projects are held to limits at all."""
        return self.driver != _NOOP

    @property
    def unregistered(self) -> Unregistered:
        listed = frozenset(self.unified_limits_resource_list)
        return Unregistered(self.unified_limits_resource_strategy, listed)
