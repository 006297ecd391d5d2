"""A measured figure: several samples of one thing, told by their median and their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a benchmark's answer.

    Attributes:
        samples: one number a run, in *unit*.
        budget: what the design allows, as text; empty where it says nothing.
    """

    what: str
    unit: str
    samples: Sequence[float]
    budget: str = ""

    @property
    def median(self) -> float:
        return median(self.samples)

    def __str__(self) -> str:
        spread = f"{_short(min(self.samples))} to {_short(max(self.samples))}"
        runs = f"{len(self.samples)} run{'s' * (len(self.samples) > 1)}"
        budget = f"; budget {self.budget}" if self.budget else ""
        return (
            f"{self.what:<58} {_short(self.median):>8} {self.unit:<10} ({spread}, {runs}{budget})"
        )


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
