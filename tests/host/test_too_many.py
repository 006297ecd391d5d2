"""What makes VFs at boot beside a policy: a line that asks for too many, and ``max_vfs``."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.derived import derive
from host.planted import CAPTURED_LAB, PF
from host.test_image import debian, host
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.host.survey import read_survey
from lanekeeper.host.tree import plant

__all__ = ["debian"]  # a fixture

POLICY = f'version: 1\npfs: [{{pf: "{PF}", vfs: 2}}]\n'
MOST = f"{PF} (ens1) can have at most 7 VFs, so that"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("echo 8 > /sys/class/net/ens1/device/sriov_numvfs", f"{MOST} 8 makes none"),
        (f"echo -n '64' >/sys/bus/pci/devices/{PF}/sriov_numvfs", f"{MOST} 64 makes none"),
        ("echo 7 > /sys/class/net/ens1/device/sriov_numvfs", ""),
        ("echo 8 > /sys/class/net/ens7/device/sriov_numvfs", ""),
    ],
)
def test_a_line_that_asks_for_more_than_the_card_has(
    tmp_path: Path, command: str, told: str
) -> None:
    line = rf"etc/rc.local = #!/bin/sh\n{command}\n"
    survey = read_survey(plant(derive(CAPTURED_LAB.read_text(), line), tmp_path))
    (found,) = [each for each in check(survey) if each.id == "vfs-from-rc-local"]
    assert found.summary.endswith(told or "for which nothing waits")


@pytest.mark.parametrize(("persist", "then"), [(True, "from the second boot on"), (False, "take")])
def test_max_vfs_of_an_image_is_pending(
    debian: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], persist: bool, then: str
) -> None:
    options = debian / "etc/modprobe.d/igb.conf"
    options.parent.mkdir(parents=True, exist_ok=True)
    options.write_text("# cards\noptions igb debug=1 max_vfs=7\noptions ixgbe max_vfs=0\n")
    (debian / "etc/default/grub").write_text('GRUB_CMDLINE_LINUX="quiet igb.max_vfs=7"\n')
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"{POLICY}persist: {str(persist).lower()}\n")
    host("plan", debian, "--policy", str(policy))
    told = [line for line in capsys.readouterr().out.splitlines() if "makes VFs on every" in line]
    assert [line.partition(" makes VFs")[0] for line in told] == [
        "pending: /etc/modprobe.d/igb.conf:2: options igb debug=1 max_vfs=7",
        "pending: kernel argument igb.max_vfs=7",
    ]
    assert all(then in line for line in told)
