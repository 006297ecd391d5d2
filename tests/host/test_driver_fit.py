"""Drivers that cannot drive what they are named for are refused; those that may be are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.planted import NVME, PF, simulated
from lanekeeper.main import main

ALIASES = """\
alias pci:v00008086d000010C9sv*sd*bc*sc*i* igb
alias pci:v00008086d000010CAsv*sd*bc*sc*i* igbvf
alias pci:v*d*sv*sd*bc01sc08i02* nvme
alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci
alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci
"""
RELEASE = "6.12.95+deb12-amd64"


def vfs(driver: str) -> str:
    return f'version: 1\npfs: [{{pf: "{PF}", vfs: 2, vf_driver: {driver}}}]\n'


def whole(driver: str) -> str:
    return f'version: 1\ndevices: [{{device: "{NVME}", driver: {driver}}}]\n'


def give_table(root: Path, text: str) -> None:
    path = root / f"lib/modules/{RELEASE}/modules.alias"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(params=[True, False], ids=["modules.alias", "without"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    simulated(tmp_path)
    if request.param:
        give_table(tmp_path, ALIASES)
    return tmp_path


def call(root: Path, verb: str, policy: str) -> int:
    (root / "policy.yaml").write_text(policy)
    return main(["host", verb, "--simulate", str(root), "--policy", str(root / "policy.yaml")])


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (vfs("nvme"), "vf_driver is nvme, which does not drive 8086:10ca (class 0200)"),
        (vfs("mlx5_vfio_pci"), "mlx5_vfio_pci, which does not drive 8086:10ca"),
        (whole("igb"), "driver is igb, which does not drive 1b36:0010 (class 0108)"),
        (whole("mlx5_core"), "driver is mlx5_core, which does not drive 1b36:0010"),
    ],
)
def test_a_driver_for_other_cards_is_refused(
    machine: Path, capsys: pytest.CaptureFixture[str], policy: str, told: str
) -> None:
    for verb in ("plan", "check", "apply"):
        capsys.readouterr()
        assert call(machine, verb, policy) == 1
        said = capsys.readouterr().out
        assert told in said
        assert "driver-misfit" in said
        assert "name one that does: vfio-pci" in said
    assert not (machine / "var/lib/lanekeeper-host/changes").exists()


@pytest.mark.parametrize("policy", [vfs("vfio-pci"), vfs("igbvf"), whole("vfio-pci")])
def test_a_driver_that_fits_is_taken(machine: Path, policy: str) -> None:
    assert call(machine, "apply", policy) == 0
    assert call(machine, "plan", policy) == 0


def test_tables_are_believed_where_they_are_and_drivers_that_fit_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ixgbevf is for VFs of Intel's, but not for these; without a table that is not known."""
    simulated(tmp_path)
    assert call(tmp_path, "plan", vfs("ixgbevf")) == 1
    assert "misfit" not in capsys.readouterr().out
    told = f"{ALIASES}alias pci:v00008086d000010EDsv*sd*bc*sc*i* ixgbevf\n"
    give_table(tmp_path, told)
    assert call(tmp_path, "plan", vfs("ixgbevf")) == 1
    said = capsys.readouterr().out
    assert "vf-driver-misfit" in said
    assert "name one that does: vfio-pci, igbvf\n" in said


def test_a_device_is_given_back_to_its_own_driver(machine: Path) -> None:
    assert call(machine, "apply", whole("vfio-pci")) == 0
    assert call(machine, "apply", whole("nvme")) == 0
    assert call(machine, "plan", whole("nvme")) == 0


@pytest.mark.parametrize(
    "said", ["blacklist: [igbvf]", "kernel_arguments: [module_blacklist=igbvf]"]
)
def test_what_auto_comes_to_is_not_kept_from_loading(
    machine: Path, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    assert call(machine, "plan", f"{vfs('auto')}{said}\n") == 1
    told = capsys.readouterr().out
    why = f"it drives VFs of {PF}, which pfs[0] leaves to the kernel (auto) (blacklist-needed)"
    assert f"igbvf would not load at boot, and {why}" in told
    assert "fix: take igbvf out" in told


@pytest.mark.parametrize("policy", [vfs("none"), vfs("vfio-pci"), vfs("auto")])
def test_a_driver_that_no_vf_is_left_to_may_be_kept_from_loading(
    machine: Path, capsys: pytest.CaptureFixture[str], policy: str
) -> None:
    wanted = "ixgbevf" if "auto" in policy else "igbvf"
    call(machine, "plan", f"{policy}blacklist: [{wanted}]\n")
    assert "blacklist-needed" not in capsys.readouterr().out
