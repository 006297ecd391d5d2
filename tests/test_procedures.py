"""The pages in docs/procedures: their policies can be planned, and what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from host.cards import with_cards
from lanekeeper.domain.hostplan.findings.check import KINDS
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host.facts import read_host
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.simulated import lab_tree
from lanekeeper.host.tree import plant

PAGES = sorted(Path(__file__).parents[1].joinpath("docs/procedures").glob("*.md"))
PLANS = Path(__file__).parent / "host/plans"
HEALTHY = (Path(__file__).parent / "host/doctor/healthy.tree").read_text()
CARDS = {"connectx7-migration.md": "connectx7-live-migration"}
POLICY = re.compile(r"```yaml\n(version: 1\n.*?)```", re.DOTALL)
FINDING = re.compile(r"findings\.md#([a-z0-9-]+)")


def host_of(page: Path, directory: Path) -> Path:
    """A machine such as the page is about, before anything was done to it."""
    if page.name in CARDS:
        changes = (PLANS / CARDS[page.name] / "host.txt").read_text()
        return plant(with_cards(HEALTHY, changes), directory)
    return plant(lab_tree(), directory)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_pages_policy_can_be_planned(page: Path, tmp_path: Path) -> None:
    policies = POLICY.findall(page.read_text())
    assert bool(policies) == (page.name not in ("README.md", "guide-examples.md"))
    for text in policies:
        made = plan(load_policy(text, page.name), read_host(host_of(page, tmp_path)))
        assert made.refusals == ()
        assert made.steps


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_pages_findings_have_their_chapter(page: Path) -> None:
    named = {*FINDING.findall(page.read_text())}
    assert bool(named) == (page.stem in ("passthrough", "sriov-82576"))
    assert named <= {kind.id for kind in KINDS}
