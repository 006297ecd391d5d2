"""How a change is said in words."""

from __future__ import annotations

import shlex

import pytest

from lanekeeper.domain.hostplan.action import RunProgram, UpdateBootLoader

GRUBBY = ("grubby", "--update-kernel=ALL", "--args=intel_iommu=on iommu=pt")


@pytest.mark.parametrize("action", [RunProgram(GRUBBY), UpdateBootLoader(GRUBBY)])
def test_a_shell_reads_a_command_as_it_is_run(action: RunProgram | UpdateBootLoader) -> None:
    said = str(action)
    assert said == "run grubby --update-kernel=ALL '--args=intel_iommu=on iommu=pt'"
    assert tuple(shlex.split(said.removeprefix("run "))) == GRUBBY
