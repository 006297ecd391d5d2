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
_FIELDS = frozenset({"opt_name", "opt_value", "ip_version"})


def check_options(options: Iterable[Mapping[str, Any]]) -> None:
    """Refuse options that no DHCP server could be told of.

    Raises:
        Invalid: code InvalidInput; names the entry and what would be right.
    """
    for place, option in enumerate(options):
        if why := _refusal(option):
            raise Invalid(f"extra_dhcp_opts[{place}]: {why}", code="InvalidInput")


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
    why = _refusal_of_value(option.get("opt_value"))
    return f"opt_value of {name} {why}" if why else ""


def _refusal_of_value(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return "is neither a text nor null"
    if len(value) > _VALUE_MAX:
        return f"is longer than {_VALUE_MAX} characters"
    if _CONTROL.search(value):
        return "has a line break or another control character"
    return ""
