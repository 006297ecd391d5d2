"""Rows of a snapshot: what arrays of them there are, and which of some are among others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

NONE: Rows = np.empty(0, dtype=np.int32)
NONE.flags.writeable = False


def among(rows: Rows, some: Rows) -> Mask:
    """Which of *rows*, in any order, are in *some*, which is ascending."""
    if not len(some):
        return np.zeros(len(rows), dtype=np.bool_)
    place = np.searchsorted(some, rows)
    place[place == len(some)] = 0
    found: Mask = some[place] == rows
    return found
