"""Plans for hosts of many kinds, word for word: what `lanekeeper host plan` prints.

``plans/NAME`` holds ``host.txt`` (changes of the doctor's healthy host), ``policy.yaml`` and
``plan.txt``. After a change that means to alter plans,

    LANEKEEPER_REWRITE_PLANS=1 python -m pytest tests/host/test_plans.py

writes them anew; read every difference before you commit it.
"""

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign import size
from host.cards import with_cards
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import parse_policy
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.apply import Executor
from lanekeeper.host.facts import read_host
from lanekeeper.host.journal import Course
from lanekeeper.host.policy_file import read_policy
from lanekeeper.host.proposal import Proposal
from lanekeeper.host.simulated import SimulatedMachine, lab_tree
from lanekeeper.host.tree import plant
from lanekeeper.main import main

PLANS = Path(__file__).parent / "plans"
HEALTHY = (Path(__file__).parent / "doctor/healthy.tree").read_text()
NAMES = sorted(path.name for path in PLANS.iterdir())
REWRITES = "LANEKEEPER_REWRITE_PLANS" in os.environ
AS_MANY = 30


def host_of(name: str, directory: Path) -> Path:
    return plant(with_cards(HEALTHY, (PLANS / name / "host.txt").read_text()), directory)


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_is_what_it_was(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = host_of(name, tmp_path)
    policy = PLANS / name / "policy.yaml"
    code = main(["host", "plan", "--root", str(root), "--policy", str(policy)])
    said = f"{capsys.readouterr().out}exit {code}\n".replace(str(tmp_path), "")
    said = said.replace(f"{PLANS / name}/", "")
    kept = PLANS / name / "plan.txt"
    if REWRITES:
        kept.write_text(said)
    assert said == kept.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_planned_can_be_done_and_taken_back(name: str, tmp_path: Path) -> None:
    root = host_of(name, tmp_path)
    policy = read_policy(PLANS / name / "policy.yaml")
    (root / "sys/bus/pci/drivers_probe").touch()
    for driver in (
        "igb",
        "vfio-pci",
        "mlx5_vfio_pci",
        "iavf",
        "ixgbevf",
        "igbvf",
        "mlx5_core",
        "nvme",
        "nouveau",
        "snd_hda_intel",
    ):
        (root / "sys/bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
    machine = SimulatedMachine(root)
    found = plan(policy, read_host(root))
    before, held = state(root), read_host(root).vf_settings
    changes = root / journal.DIRECTORY
    outcome = Executor(Actor(root, machine, machine.run), changes).apply(
        lambda: Proposal(found.steps)
    )
    if outcome is None:
        assert found.refusals or found.is_empty
        return
    assert (outcome.course, outcome.failure) == (Course.APPLIED, "")
    again = plan(policy, read_host(root))
    assert (again.steps, again.refusals) == ((), ())
    (outcome,) = Executor(Actor(root, machine, machine.run), changes).rollback()
    assert (outcome.course, outcome.left) == (Course.TAKEN_BACK, ())
    assert state(root) == before
    assert read_host(root).vf_settings == held


def state(root: Path) -> dict[str, str]:
    """Every path with what stands there; modules and drivers stay, and journals are kept."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name.startswith(("var", "simulated", "sys/module/", "0", "1")):
            continue
        if path.parent == root / "sys/bus/pci/drivers":
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = "/" if path.is_dir() else path.read_text("latin-1")
    return found


def test_there_are_hosts_of_many_kinds() -> None:
    assert len(NAMES) >= AS_MANY
    for name in NAMES:
        assert sorted(path.name for path in (PLANS / name).iterdir()) == [
            "host.txt",
            "plan.txt",
            "policy.yaml",
        ]


def _any(value: Any) -> st.SearchStrategy[Any]:
    return st.just(value)


RANGE: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"vfs": st.sampled_from(["0", "1-2", "3-5", "6"])},
    optional={
        "vf_driver": st.sampled_from(["none", "auto", "igbvf", "vfio-pci"]),
        "trust": st.booleans(),
        "spoofchk": st.booleans(),
        "mac": st.sampled_from(["stable", "02:00:00:00:00:10"]),
    },
)
RANGES = st.lists(RANGE, unique_by=lambda each: str(each["vfs"]), max_size=4)
ENTRIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"pf": st.just("0000:21:00.0"), "vfs": _any(7)},
    optional={
        "ranges": RANGES,
        "vf_driver": st.sampled_from(["none", "auto", "igbvf"]),
        "trust": st.booleans(),
        "mac": st.just("stable"),
        "link": st.sampled_from(["up", "leave"]),
    },
)
POOLS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "node": st.integers(0, 1),
        "size": st.sampled_from(["2M", "1G"]),
        "pages": st.integers(0, 64),
    }
)
POLICIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"version": _any(1), "persist": st.booleans()},
    optional={
        "pfs": st.lists(ENTRIES, min_size=1, max_size=1),
        "huge_pages": st.lists(POOLS, unique_by=lambda each: (each["node"], each["size"])),
        "module_options": st.just({"kvm": ["halt_poll_ns=0"]}),
        "kernel_arguments": st.just(["hugepages=8"]),
    },
)


def there_and_back(before: dict[str, object], wanted: dict[str, object]) -> None:
    """Apply the one after the other, and take the last one back."""
    with tempfile.TemporaryDirectory() as name:
        root = plant(lab_tree(), Path(name))
        machine = SimulatedMachine(root)
        for number, document in enumerate((before, wanted)):
            policy = parse_policy(document, text=f"{document}\n")
            found = plan(policy, read_host(root))
            then = state(root)
            executor = Executor(Actor(root, machine, machine.run), root / str(number))
            outcome = executor.apply(partial(Proposal, found.steps))
            if outcome is None:
                continue
            assert (outcome.course, outcome.failure) == (Course.APPLIED, "")
            assert plan(policy, read_host(root)).is_empty
        if outcome is not None:
            Executor(Actor(root, machine, machine.run), root / str(number)).rollback()
            assert state(root) == then


@settings(max_examples=size(5, 60))
@given(before=POLICIES, wanted=POLICIES)
def test_any_policy_after_any_other_can_be_done_and_taken_back(
    before: dict[str, object], wanted: dict[str, object]
) -> None:
    there_and_back(before, wanted)


def seven_vfs(**said: Any) -> dict[str, object]:
    return {"version": 1, "pfs": [{"pf": "0000:21:00.0", "vfs": 7, **said}]}


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ({"vf_driver": "auto", "mac": "stable"}, {"vf_driver": "none"}),
        ({"ranges": [{"vfs": "3-5", "vf_driver": "auto", "mac": "stable"}]}, {"vf_driver": "none"}),
        ({"vf_driver": "igbvf"}, {"vf_driver": "none", "mac": "stable"}),
        (
            {"vf_driver": "auto"},
            {"ranges": [{"vfs": "3-5", "vf_driver": "vfio-pci"}], "mac": "stable"},
        ),
        ({"vf_driver": "none", "mac": "stable"}, {"vf_driver": "igbvf"}),
    ],
)
def test_interfaces_of_vfs_have_their_macs_back(
    before: dict[str, Any], wanted: dict[str, Any]
) -> None:
    there_and_back(seven_vfs(**before), seven_vfs(**wanted))


@pytest.mark.parametrize("driver", ["auto", "igbvf"])
def test_an_interface_of_a_vf_has_the_policys_mac_at_once(tmp_path: Path, driver: str) -> None:
    """Also beside VFs for which drivers take new ones before the PF is told their MACs."""
    root = plant(lab_tree(), tmp_path)
    machine = SimulatedMachine(root)
    ranges = [
        {"vfs": "0", "vf_driver": "auto"},
        {"vfs": "1", "vf_driver": driver, "mac": "02:00:00:00:00:10"},
    ]
    found = plan(parse_policy(seven_vfs(ranges=ranges)), read_host(root))
    outcome = Executor(Actor(root, machine, machine.run), root / "0").apply(
        partial(Proposal, found.steps)
    )
    assert outcome is not None
    assert outcome.failure == ""
    (address,) = (root / "sys/bus/pci/devices/0000:21:10.2/net").glob("*/address")
    assert address.read_text() == "02:00:00:00:00:10\n"
