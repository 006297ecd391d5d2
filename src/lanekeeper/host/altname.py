"""Other names of network interfaces, which only netlink tells: asked of ``ip``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.errors import HostFault
from lanekeeper.host.program import answer

QUESTION, COMMAND = "ip-link", ("ip", "-j", "link", "show")


def read_altnames(root: Path) -> dict[str, tuple[str, ...]]:
    """Return the other names of each interface that has some, by its first. Raises HostFault."""
    text = answer(root, QUESTION, COMMAND)
    if not text:
        return {}
    try:
        links = typed.decode(text, list[dict[str, Any]])
    except msgspec.DecodeError as error:
        raise HostFault(f"{QUESTION} said what is no JSON of ip: {error}") from error
    return {
        str(link.get("ifname")): tuple(map(str, names))
        for link in links
        if isinstance(names := link.get("altnames"), list)
    }
