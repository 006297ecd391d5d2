"""What of a configuration may change under a running program, and what another one changes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from lanekeeper.config.names import options
from lanekeeper.config.tree import Config

_PARTS_AT_START = frozenset({"keystone", "cors"})
_AT_START = frozenset(
    {
        ("lanekeeper", "listen"),
        ("lanekeeper", "database_url_file"),
        ("lanekeeper", "region"),  # clouds.yaml and openrc name it too
        ("lanekeeper", "metrics_token_file"),
        ("placement", "auth_strategy"),
        ("placement", "connection"),
        ("placement", "enforce_new_defaults"),
        # Hosts' inventories are made of these when hosts tell of themselves anew.
        ("compute", "host"),
        ("compute", "cpu_allocation_ratio"),
        ("compute", "ram_allocation_ratio"),
        ("compute", "disk_allocation_ratio"),
        ("compute", "reserved_host_cpus"),
        ("compute", "reserved_host_memory_mb"),
        ("compute", "reserved_host_disk_mb"),
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """What a program goes on with when its files have changed.

    Attributes:
        config: holds from now on: the new values, and old ones where only a start takes a new one.
        taken, kept: names of the options whose new value holds, and of those for which it does not.
    """

    config: Config
    taken: tuple[str, ...]
    kept: tuple[str, ...]


def is_read_at_start(part: str, name: str) -> bool:
    """Whether a program takes this value once, when it starts."""
    return part in _PARTS_AT_START or (part, name) in _AT_START


def change(now: Config, new: Config, parts: Collection[str]) -> Change:
    """Hold *new* against *now*; *parts* names what of it concerns the program."""
    taken: list[str] = []
    kept: list[str] = []
    sections = {}
    for part in parts:
        before, after = getattr(now, part), getattr(new, part)
        old = {}
        for (owner, name), option in options().items():
            if owner != part or getattr(before, name) == getattr(after, name):
                continue
            if is_read_at_start(part, name):
                old[name] = getattr(before, name)
                kept.append(option.name)
            else:
                taken.append(option.name)
        sections[part] = msgspec.structs.replace(after, **old)
    return Change(msgspec.structs.replace(now, **sections), tuple(taken), tuple(kept))
