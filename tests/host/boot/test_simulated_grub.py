"""A separate boot entry on a simulated machine: applied, taken back, applied again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from host.boot.distribution import RED_HAT_7, RED_HAT_9
from host.planted import simulated, snapshot
from lanekeeper.domain.errors import HostFault
from lanekeeper.host.boot.grub import read_environment
from lanekeeper.host.boot.loader import read_boot_loader
from lanekeeper.host.tree import plant
from lanekeeper.main import main

POLICY = "version: 1\nkernel_arguments: [isolcpus=4-7]\nboot: {entry: separate}\npersist: false\n"
BLOCK = r"# GRUB Environment Block\nsaved_entry=plain\nnext_entry=\n####"


def call(root: Path, verb: str, text: str = POLICY) -> int:
    policy = root / "policy.yaml"
    if verb != "rollback":
        policy.write_text(text)
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


def red_hat(root: Path, tree: str) -> None:
    """Put Red Hat's boot loader in the place of the lab's."""
    simulated(root)
    for name in ("etc/default/grub.d", "boot/grub"):
        shutil.rmtree(root / name, ignore_errors=True)
    for name in ("usr/sbin/update-grub", "usr/sbin/grub-mkconfig", "etc/default/grub"):
        (root / name).unlink(missing_ok=True)
    plant(tree.replace(" .\n", " = \n"), root)


@pytest.mark.parametrize("tree", [RED_HAT_7, RED_HAT_9], ids=["grub2-mkconfig", "grubby"])
def test_red_hat_s_programs_are_known(tmp_path: Path, tree: str) -> None:
    red_hat(tmp_path, tree)
    every = POLICY.replace("boot: {entry: separate}\n", "")
    (tmp_path / "policy.yaml").write_text(every)
    before, plain = snapshot(tmp_path), read_boot_loader(tmp_path).arguments
    assert plain is not None
    for _ in range(2):
        assert call(tmp_path, "apply", every) == 0
        loader = read_boot_loader(tmp_path)
        assert loader.arguments == (*plain, "isolcpus=4-7")
        for given in (*loader.settings.entries.values(), loader.settings.menu):
            assert given is None or "isolcpus=4-7" in given
        assert call(tmp_path, "plan", every) == 0
        assert call(tmp_path, "rollback") == 0
        assert read_boot_loader(tmp_path).arguments == plain
    after = snapshot(tmp_path)
    changed = {path for path in before if after[path] != before[path]}
    assert changed <= {"boot/grub2/grub.cfg"}


def test_leaving_the_separate_entry_has_the_one_before_booted_again(tmp_path: Path) -> None:
    simulated(tmp_path)
    plant("etc/grub.d/10_linux = #!/bin/sh\n", tmp_path)
    plant(f"boot/grub/grubenv = {BLOCK}\n", tmp_path)
    before = read_environment(tmp_path)
    assert call(tmp_path, "apply") == 0
    more = POLICY.replace("[isolcpus=4-7]", "[isolcpus=4-7, nosmt]")
    assert call(tmp_path, "apply", more) == 0
    assert read_environment(tmp_path)["saved_entry"] == "lanekeeper"
    every = POLICY.replace("separate", "every")
    assert call(tmp_path, "apply", every) == 0
    assert read_environment(tmp_path) == before
    assert call(tmp_path, "rollback") == 0
    assert read_environment(tmp_path)["saved_entry"] == "lanekeeper"


@pytest.mark.parametrize("words", [["grubby", "--info=ALL"], ["grub2-mkconfig"]])
def test_what_red_hat_s_programs_are_not_asked_is_refused(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(HostFault, match=f"does not run {words[0]}"):
        simulated(tmp_path).run(words)


def test_what_grub_is_not_asked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostFault, match="does not run grub-editenv - list"):
        simulated(tmp_path).run(["grub-editenv", "-", "list"])
