"""How much work a search may do before it has to have found something new."""

from __future__ import annotations

from dataclasses import dataclass

WORK = 1_000_000
"""Rows that are looked at between one candidate and the next; about a second."""


class Spent(Exception):
    """The budget is used up."""


@dataclass(slots=True)
class Budget:
    left: int = WORK

    def spend(self, units: int = 1) -> None:
        """Take *units* off.

        Raises:
            Spent: there were not so many left.
        """
        self.left -= units
        if self.left < 0:
            raise Spent

    def renew(self) -> None:
        """Begin anew: something was found."""
        self.left = WORK
