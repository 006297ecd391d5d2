"""A separate boot entry on a simulated machine: applied, taken back, applied again."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.planted import simulated, snapshot
from lanekeeper.domain.errors import HostFault
from lanekeeper.host.boot.grub import read_environment
from lanekeeper.host.tree import plant
from lanekeeper.main import main

POLICY = "version: 1\nkernel_arguments: [isolcpus=4-7]\nboot: {entry: separate}\npersist: false\n"
BLOCK = r"# GRUB Environment Block\nsaved_entry=plain\nnext_entry=\n####"


def call(root: Path, verb: str) -> int:
    policy = root / "policy.yaml"
    policy.write_text(POLICY)
    given = [] if verb == "rollback" else ["--policy", str(policy)]
    return main(["host", verb, "--simulate", str(root), *given])


@pytest.mark.parametrize("saved", ["", "plain"])
def test_an_entry_is_chosen_and_taken_back(tmp_path: Path, saved: str) -> None:
    simulated(tmp_path)
    plant("etc/grub.d/10_linux = #!/bin/sh\n", tmp_path)
    if saved:
        plant(f"boot/grub/grubenv = {BLOCK}\n", tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)
    before, found = snapshot(tmp_path), read_environment(tmp_path)
    for _ in range(2):
        assert call(tmp_path, "apply") == 0
        assert read_environment(tmp_path) == {**found, "saved_entry": "lanekeeper"}
        assert (tmp_path / "boot/grub/grubenv").stat().st_size == 1024
        assert call(tmp_path, "plan") == 0
        assert call(tmp_path, "rollback") == 0
        assert read_environment(tmp_path) == found
    kept = {path for path in snapshot(tmp_path) if path not in before}
    assert not [path for path in kept if path.startswith("etc/")]


def test_what_grub_is_not_asked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostFault, match="does not run grub-editenv - list"):
        simulated(tmp_path).run(["grub-editenv", "-", "list"])
