"""Limits and quotas, read."""

import pytest

from running import Instance

pytestmark = pytest.mark.client


def test_limits_are_shown(shared: Instance) -> None:
    rows = shared.openstack("limits", "show", "--absolute")
    names = {row["Name"] for row in rows}
    assert len(names) > 5


def test_quotas_of_compute_and_network_are_shown(shared: Instance) -> None:
    rows = shared.openstack("quota", "show")
    assert {row["Resource"] for row in rows} >= {"instances", "cores", "ram", "ports", "networks"}
