"""Plain tables: a heading, columns as wide as they need, nothing drawn."""

from __future__ import annotations

from collections.abc import Sequence


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out *rows* below *heading* in capitals; every row has as many cells."""
    whole = [tuple(word.upper() for word in heading), *rows]
    widths = [max(len(row[column]) for row in whole) for column in range(len(heading))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in whole
    )
