"""A captured machine to which no program can be put: which of its answers is missing is said."""

from pathlib import Path

import pytest

from host.cards import with_cards
from host.test_plans import HEALTHY, PLANS
from lanekeeper.host.tree import plant
from lanekeeper.main import main

CARD = PLANS / "connectx7-live-migration"
PF = "0000:e1:00.0"


@pytest.mark.parametrize("where", ["--root", "--simulate"])
@pytest.mark.parametrize(
    ("file", "command"),
    [
        (f"mstconfig-{PF}", f"mstconfig -d {PF} query"),
        (f"devlink-eswitch-{PF}", f"devlink -j dev eswitch show pci/{PF}"),
        (
            "ovs-other-config",
            "ovs-vsctl --timeout=5 get Open_vSwitch . other_config",
        ),
    ],
)
def test_what_a_plan_needs_and_the_tree_lacks_is_named_with_what_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, file: str, command: str
) -> None:
    root = plant(with_cards(HEALTHY, (CARD / "host.txt").read_text()), tmp_path)
    policy = ("--policy", str(CARD / "policy.yaml"))
    assert main(["host", "plan", where, str(root), *policy]) == 1
    assert "this tree lacks" not in capsys.readouterr().out
    (root / "captured" / file).unlink()
    main(["host", "plan", where, str(root), *policy])
    said = capsys.readouterr().out
    assert f"this tree lacks captured/{file}, which holds what `{command}` prints" in said
