"""Guests of all kinds, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from lanekeeper.domain.topology.guest import (
    CpuPolicy,
    EmulatorPolicy,
    GuestCell,
    GuestTopology,
    ThreadPolicy,
)
from lanekeeper.domain.topology.page_size import PageWish


@st.composite
def guests(draw: st.DrawFn) -> GuestTopology:
    cells, first = [], 0
    policy = draw(st.sampled_from(CpuPolicy))
    for _ in range(draw(st.integers(1, 3))):
        mine = list(range(first, first + draw(st.integers(1, 3))))
        first = mine[-1] + 1
        cut = {CpuPolicy.SHARED: 0, CpuPolicy.DEDICATED: len(mine), CpuPolicy.MIXED: 1}[policy]
        memory = draw(st.sampled_from([1, 256, 1024, 2048]))
        cells.append(GuestCell(frozenset(mine[cut:]), frozenset(mine[:cut]), memory))
    pinned = policy is not CpuPolicy.SHARED
    return GuestTopology(
        cells=tuple(cells),
        cpu_policy=policy,
        thread_policy=draw(st.sampled_from([None, *ThreadPolicy])) if pinned else None,
        emulator=draw(st.sampled_from([None, *EmulatorPolicy])) if pinned else None,
        pages=draw(st.sampled_from([None, *PageWish, 2048, 1048576, 4])),
    )
