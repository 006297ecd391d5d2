"""Readers of single values that belong to no noun of the domain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from lanekeeper.domain.errors import Invalid

_NAME_MAX = 255
_NAME = re.compile(rf"[\w.-]{{1,{_NAME_MAX}}}")
_PORT_MAX = 65535
NO_FIREWALL = "noop"
_FIREWALL_DRIVERS = ("openvswitch", "iptables_hybrid", "iptables", NO_FIREWALL)
_MTU_MIN, _MTU_MAX = 68, 65535  # RFC 791 section 3.2; Linux dev->max_mtu of most drivers


def split_list(text: str) -> Iterator[str]:
    """Split at commas; blanks around items and empty items do not count."""
    return filter(None, (piece.strip() for piece in text.split(",")))


def parse_list(text: str) -> tuple[str, ...]:
    """Read items that commas separate."""
    return tuple(split_list(text))


def parse_name(text: str) -> str:
    """Read a name of 1 to 255 letters, digits, dots, dashes and underscores."""
    if not _NAME.fullmatch(text):
        raise Invalid(
            f"{text[:40]!r} is not a name of 1 to {_NAME_MAX} letters, digits, '.', '-' and '_'"
        )
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """Make a reader that takes one of *words* and nothing else."""

    def parse(text: str) -> str:
        if text not in words:
            raise Invalid(f"{text[:40]!r} is none of {', '.join(words)}")
        return text

    return parse


def parse_flat_networks(text: str) -> tuple[str, ...]:
    """Read names of physical networks; ``*`` anywhere is any.

    Source: neutron ``plugins/ml2/drivers/type_flat.py``, _parse_networks.
    """
    names = tuple(split_list(text))
    return ("*",) if "*" in names else names


def parse_firewall_driver(text: str) -> str:
    """Read a name of one of Neutron's firewall drivers, or its class as older guides have it.

    Source: neutron ``setup.cfg``, neutron.agent.firewall_drivers; ``agent/firewall.py``.
    """
    name = text.strip()
    if name == "neutron.agent.firewall.NoopFirewallDriver":
        return NO_FIREWALL
    if name in _FIREWALL_DRIVERS or name.startswith("neutron.agent."):
        return name
    raise Invalid(
        f"firewall_driver {text[:60]!r} is none of {', '.join(_FIREWALL_DRIVERS)}, and no class of "
        "neutron.agent"
    )


def parse_mtus(text: str) -> dict[str, int]:
    """Read ``physnet1:9000,physnet2:1500``."""
    mtus: dict[str, int] = {}
    for entry in split_list(text):
        name, _, number = (piece.strip() for piece in entry.partition(":"))
        well_formed = name and re.fullmatch(r"[0-9]{1,5}", number, re.ASCII)
        if not well_formed or not _MTU_MIN <= int(number) <= _MTU_MAX or name in mtus:
            raise Invalid(
                f"{entry!r} is not PHYSNET:MTU with {_MTU_MIN} to {_MTU_MAX}, each network once"
            )
        mtus[name] = int(number)
    return mtus


def parse_listen(text: str) -> tuple[str, ...]:
    """Read where to listen; an IPv6 host stands in brackets."""
    places = tuple(split_list(text))
    if not places:
        raise Invalid("nothing to listen on", hint="an example: 127.0.0.1:8774")
    for place in places:
        _check_place(place)
    return places


def _check_place(place: str) -> None:
    url = place if "://" in place else f"http://{place}"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        port = host = None
    extra = not host or parts.path.strip("/") or parts.query or parts.username
    if extra or parts.scheme not in ("http", "https") or port is None or port > _PORT_MAX:
        raise Invalid(
            f"{place!r} is not HOST:PORT, http://HOST:PORT or https://HOST:PORT",
            hint="an example: https://192.0.2.1:8774; an IPv6 host stands in brackets",
        )
