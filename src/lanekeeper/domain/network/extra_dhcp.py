"""A port's own DHCP options, ``extra_dhcp_opts``: what can be asked for.

Source: neutron-lib ``api/definitions/extra_dhcp_opt.py``. That no value has a line break is ours to
see to: in dnsmasq's file the next line would be for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lanekeeper.domain.errors import Invalid

_NAME_MAX, _VALUE_MAX = 64, 255
_NAME = re.compile(r"[A-Za-z0-9-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAY_BE_EMPTY = frozenset({"router", "classless-static-route"})
_FIELDS = frozenset({"opt_name", "opt_value", "ip_version"})


def check_options(options: Iterable[Mapping[str, Any]]) -> None:
    """Refuse options that no DHCP server could be told of.

    Raises:
        Invalid: code InvalidInput; names the entry and what would be right.
    """
    for place, option in enumerate(options):
        if why := _refusal(option):
            raise Invalid(f"extra_dhcp_opts[{place}]: {why}", code="InvalidInput")


def new_options(said: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The options of a new port, checked before: those that have a value.

    Raises:
        Invalid: code InvalidInput; one is there twice.
    """
    return changed_options((), said)


def changed_options(
    has: Iterable[Mapping[str, Any]], said: Iterable[Mapping[str, Any]]
) -> tuple[dict[str, Any], ...]:
    """A port's options after a change: null takes one away, and what is not named stays.

    Raises:
        Invalid: code InvalidInput; one is said twice.
    """
    options = {_key(option): option.get("opt_value") for option in has}
    changes: dict[tuple[str, int], str | None] = {}
    for option in said:
        if (key := _key(option)) in changes:
            raise Invalid(
                f"extra_dhcp_opts has {key[0]} of IPv{key[1]} more than once", code="InvalidInput"
            )
        changes[key] = option["opt_value"]
    return tuple(
        {"opt_name": name, "opt_value": value, "ip_version": version}
        for (name, version), value in {**options, **changes}.items()
        if value is not None
    )


def _key(option: Mapping[str, Any]) -> tuple[str, int]:
    return option["opt_name"], int(option.get("ip_version", 4))


def _refusal(option: Mapping[str, Any]) -> str:
    name = option.get("opt_name")
    if unknown := sorted(option.keys() - _FIELDS):
        return f"{unknown[0]!r} is none of {', '.join(sorted(_FIELDS))}"
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > _NAME_MAX:
        return "opt_name is an option's name or number, of letters, digits and hyphens, at most 64"
    if str(option.get("ip_version", 4)) not in {"4", "6"}:
        return f"ip_version of {name} is neither 4 nor 6"
    if "opt_value" not in option:
        return f"opt_value of {name} is missing; null takes the option away"
    why = _refusal_of_value(option["opt_value"], may_be_empty=name in _MAY_BE_EMPTY)
    return f"opt_value of {name} {why}" if why else ""


def _refusal_of_value(value: object, *, may_be_empty: bool) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return "is neither a text nor null"
    if not may_be_empty and not value.strip():
        return "is empty; null takes the option away"
    if len(value) > _VALUE_MAX:
        return f"is longer than {_VALUE_MAX} characters"
    if _CONTROL.search(value):
        return "has a line break or another control character"
    return ""
