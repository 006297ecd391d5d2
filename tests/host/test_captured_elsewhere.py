"""A captured machine answers as the original, however it was scrubbed."""

from __future__ import annotations

from pathlib import Path

from lanekeeper.domain.hostplan.policy.vf import STABLE, mac_of
from lanekeeper.host.scrub import scrub
from lanekeeper.host.tree import HEADER, plant

PF = "3c:fd:fe:00:11:22"


def test_a_stable_mac_is_made_of_the_scrubbed_one(tmp_path: Path) -> None:
    lines = (f"sys/class/net/vf{n}/mine = {mac_of(STABLE, PF, n, 0)}" for n in (0, 7))
    text = "\n".join([HEADER, *lines, f"sys/class/net/p0/address = {PF}", ""])
    root = plant(scrub(text), tmp_path)
    fresh = (root / "sys/class/net/p0/address").read_text().strip()
    assert fresh != PF
    for index in (0, 7):
        mine = (root / f"sys/class/net/vf{index}/mine").read_text().strip()
        assert mine == mac_of(STABLE, fresh, index, 0)
