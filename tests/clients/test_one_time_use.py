"""One-time-use devices by the commands of the guide, with the stock client, on real claims."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.conftest import Surroundings, prepare
from running import Instance, running, until

pytestmark = pytest.mark.client

_CLASS = "CUSTOM_PCI_8086_10CA"
_VF = '"vendor_id": "8086", "product_id": "10ca"'
_CONFIG = f"""\
[pci]
device_spec = {{{_VF}, "address": "0000:41:*.*", "one_time_use": "true"}}
device_spec = {{{_VF}, "address": "0000:21:*.*", "physical_network": "physnet1"}}
alias = {{{_VF}, "device_type": "type-VF", "name": "a1"}}
"""


def stock(instance: Instance, provider: str) -> tuple[int, int, int]:
    """Total, reserved and used of the spent devices' class."""
    rows = instance.openstack("resource", "provider", "inventory", "list", provider)
    (row,) = [one for one in rows if one["resource_class"] == _CLASS]
    return int(row["total"]), int(row["reserved"]), int(row["used"])


def test_vfs_that_were_used_once_wait_until_they_are_asked_back(tmp_path: Path) -> None:
    config = tmp_path / "nova.conf"
    config.write_text(_CONFIG)
    with running(tmp_path / "state", config_files=[config]) as instance:
        there = Surroundings(instance)
        prepare(there)
        found = instance.openstack(
            "resource", "provider", "list", "--required", "HW_PCI_ONE_TIME_USE"
        )
        (card,) = [one["uuid"] for one in found]
        total, reserved, used = stock(instance, card)
        assert (reserved, used) == (0, 0)

        server = there.server_arguments(there.alias)
        instance.openstack("server", "create", *server, "--wait", "once")
        assert stock(instance, card)[2] == 1
        instance.done("server", "delete", "--wait", "once")
        until(lambda: stock(instance, card) == (total, 1, 0), "the VF is clean, and waits")

        asked = ("resource", "provider", "inventory", "set", "--amend", card)
        instance.openstack(*asked, "--resource", f"{_CLASS}:reserved=0")
        assert stock(instance, card) == (total, 0, 0)
        instance.openstack("server", "create", *server, "--wait", "next")
        instance.done("server", "delete", "--wait", "next")
        until(lambda: stock(instance, card) == (total, 1, 0), "the next one waits, too")
