"""What the configuration is made of: sections, and where each of their fields is read from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of the tree: immutable, named arguments only."""


@dataclass(frozen=True, slots=True)
class Option:
    """Where a field is read from.

    Attributes:
        help: its line in the reference.
        old: names that are read too, each with a warning that names the new one.
        also: names that are read too, without one.
        parse: turns the text into the field's value; None for what msgspec can check alone.
        multiple: the key may be repeated; every value counts, in order.
        is_path: names a file; a relative path begins where the configuration file lies.
        at_start: a program takes the value once, when it starts; SIGHUP changes nothing.
        of_agent: the host's agent reads it, and no controller.
    """

    section: str
    key: str
    help: str
    old: tuple[tuple[str, str], ...] = ()
    also: tuple[tuple[str, str], ...] = ()
    parse: Callable[[str], Any] | None = None
    multiple: bool = False
    is_path: bool = False
    at_start: bool = False
    of_agent: bool = False

    @property
    def name(self) -> str:
        return f"[{self.section}] {self.key}"
