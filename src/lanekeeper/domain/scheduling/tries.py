"""How long a search may go on that has no quick way, and that a tenant asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tries:
    """Tries that are left of a search, of which several may share some.

    Attributes:
        of: what each try is taken from, too.
        ran_out: whether one more was wanted: what was not found may be there nevertheless.
    """

    left: int
    of: Tries | None = None
    ran_out: bool = False

    def take(self) -> bool:
        """Whether there is one more try, which is gone then."""
        if self.left > 0 and (self.of is None or self.of.take()):
            self.left -= 1
            return True
        self.ran_out = True
        return False
