"""How long a search may go on that has no quick way, and that a tenant asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tries:
    """Tries that are left of a search, of which several may share some.

    Attributes:
        of: what each try is taken from, too.
        ran_out: whether one more was wanted, here or of what takes from here: what was not found
            may be there nevertheless.
    """

    left: int
    of: Tries | None = None
    ran_out: bool = False

    def take(self, cost: int = 1) -> bool:
        """Whether there is one more try, which is gone then; some *cost* as much as several."""
        if self.left > 0 and (self.of is None or self.of.take(cost)):
            self.left -= cost
            return True
        self._run_out()
        return False

    def _run_out(self) -> None:
        self.ran_out = True
        if self.of is not None:
            self.of._run_out()
