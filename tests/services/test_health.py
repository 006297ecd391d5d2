"""A link breaks on a simulated host: its VFs are kept back, with the reason, until it is mended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.simulated import SimulatedMachine
from running import Instance, lanekeeper, running, until

pytestmark = pytest.mark.service

PF = "0000:21:00.0"
POLICY = """
[pci]
device_spec = {"vendor_id": "8086", "product_id": "10ca", "address": "0000:21:*"}
alias = {"name": "nic", "vendor_id": "8086", "product_id": "10ca", "device_type": "type-VF"}
[health]
raise_after_s = 1
clear_after_s = 2
"""


def told(instance: Instance) -> list[dict[str, Any]]:
    with instance.http() as http:
        devices = http.get("/lanekeeper/v1/devices").json()["devices"]
    return [one for one in devices if one["listed"]]


def said_by(instance: Instance, *arguments: str) -> str:
    done = lanekeeper(*arguments, env=instance.environment)
    return done.stdout + done.stderr


def test_a_link_that_breaks_and_is_mended(tmp_path: Path, database_url: str) -> None:
    config = tmp_path / "nova.conf"
    config.write_text(POLICY)
    with running(tmp_path / "state", config_files=[config], database_url=database_url) as instance:
        until(lambda: len(told(instance)) == 7, "seven VFs")
        flavor = instance.sdk.compute.create_flavor(name="m1", ram=64, vcpus=1, disk=1)
        instance.sdk.compute.create_flavor_extra_specs(flavor, {"pci_passthrough:alias": "nic:1"})
        assert "fits, choice 1" in said_by(instance, "explain", "--flavor", "m1")
        machine = SimulatedMachine(next(tmp_path.rglob("sys/bus/pci")).parents[2])

        machine.set_link(PciAddress.parse(PF), False)
        until(lambda: all(one["unfit"] for one in told(instance)), "no VF is offered", 60)
        said = said_by(instance, "explain", "--flavor", "m1")
        assert "7 are not well" in said
        assert f"mend {PF}: its link is down" in said
        listed = said_by(instance, "device", "list")
        assert listed.count("of its PF: its link is down") == 7

        machine.set_link(PciAddress.parse(PF), True)
        until(lambda: not any(one["unfit"] for one in told(instance)), "all are offered", 60)
        assert "fits, choice 1" in said_by(instance, "explain", "--flavor", "m1")
