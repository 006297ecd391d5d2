"""Ports of a virtual switch by the stock client, beside a VF, and on a host that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.conftest import Surroundings, prepare
from running import CommandFailed, running

pytestmark = pytest.mark.client

_VF = '"vendor_id": "8086", "product_id": "10ca"'
CONFIG = f"""\
[pci]
device_spec = {{{_VF}, "address": "0000:41:*.*"}}
device_spec = {{{_VF}, "address": "0000:21:*.*", "physical_network": "physnet1"}}
alias = {{{_VF}, "device_type": "type-VF", "name": "a1"}}
[ovs]
bridge_mappings = physnet1:br-ex
"""


def test_a_server_has_a_normal_port_beside_a_vf(tmp_path: Path) -> None:
    config = tmp_path / "nova.conf"
    config.write_text(CONFIG)
    with running(tmp_path / "state", config_files=[config]) as instance:
        there = Surroundings(instance)
        prepare(there)
        for name, kind in (("switched", ()), ("late", ()), ("vf", ("--vnic-type", "direct"))):
            instance.openstack("port", "create", "--network", there.network, *kind, name)
        both = there.server_arguments(there.plain, "--port", "switched", "--port", "vf")
        instance.openstack("server", "create", *both, "--wait", "both")
        shown = instance.openstack("port", "show", "switched")
        assert (shown["binding_vif_type"], shown["status"]) == ("ovs", "ACTIVE")
        assert shown["binding_vif_details"]["bridge_name"] == "br-ex"
        assert instance.openstack("port", "show", "vf")["binding_vif_type"] == "hw_veb"

        instance.done("server", "add", "port", "both", "late")
        late = there.server_arguments(there.plain, "--port", "late")
        with pytest.raises(CommandFailed, match="in use"):
            instance.done("server", "create", *late, "other")
        instance.done("server", "remove", "port", "both", "late")
        instance.done("server", "delete", "--wait", "both")
        shown = instance.openstack("port", "show", "switched")
        assert (shown["binding_vif_type"], shown["status"]) == ("unbound", "DOWN")
