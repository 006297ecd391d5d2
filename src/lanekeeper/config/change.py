"""What of a configuration may change under a running program, and what another one changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from lanekeeper.config.names import options
from lanekeeper.config.option import Option, Section
from lanekeeper.config.tree import Config

_PARTS_AT_START = frozenset({"keystone", "cors"})


@dataclass(frozen=True, slots=True)
class Program:
    """One that reads configuration.

    Attributes:
        parts: of these it reads what is not for the host's agent.
        has_agent: whether it reads what is.
        own: of ``[lanekeeper]`` it reads these keys alone; empty for all that *parts* says.
    """

    name: str
    parts: frozenset[str] = frozenset()
    has_agent: bool = False
    own: frozenset[str] = frozenset()

    def reads(self, part: str, name: str) -> bool:
        if options()[part, name].of_agent:
            return self.has_agent
        return part in self.parts and (part != "lanekeeper" or not self.own or name in self.own)


CONTROLLER = Program(
    "controller",
    frozenset(
        {"pci", "ml2", "compute", "scheduler", "quota", "network_quotas", "placement", "health"}
        | {"rules"}
    )
    | {"lanekeeper"},
)
AGENT = Program("agent", has_agent=True)
UP = Program("up", CONTROLLER.parts, has_agent=True)
PLACEMENT = Program(
    "placement",
    frozenset({"rules", "lanekeeper", "placement", "keystone", "cors"}),
    own=frozenset({"database_url_file", "metrics_token_file", "body_bytes_max"}),
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
    return part in _PARTS_AT_START or options()[part, name].at_start


def change(now: Config, new: Config, program: Program) -> Change:
    """Hold *new* against *now*, in the eyes of *program*; what it does not read stays."""
    taken: list[str] = []
    kept: list[str] = []
    sections: dict[str, Section] = {}
    for part, name, option in _differing(now, new, program):
        if is_read_at_start(part, name):
            kept.append(option.name)
            continue
        taken.append(option.name)
        section = sections.get(part, getattr(now, part))
        value = getattr(getattr(new, part), name)
        sections[part] = msgspec.structs.replace(section, **{name: value})
    return Change(msgspec.structs.replace(now, **sections), tuple(taken), tuple(kept))


def _differing(now: Config, new: Config, program: Program) -> Iterator[tuple[str, str, Option]]:
    for (part, name), option in options().items():
        before, after = getattr(now, part), getattr(new, part)
        if program.reads(part, name) and getattr(before, name) != getattr(after, name):
            yield part, name, option
