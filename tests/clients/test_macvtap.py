"""Ports of type macvtap by the stock client, on a host that runs."""

from __future__ import annotations

import pytest

from clients.conftest import Surroundings
from running import CommandFailed

pytestmark = pytest.mark.client


def test_a_server_has_a_vf_through_a_macvtap(surroundings: Surroundings) -> None:
    instance, there = surroundings.instance, surroundings
    first, late = there.port("macvtap"), there.port("macvtap")
    server = there.name("server")
    asked = there.server_arguments(there.plain, "--port", first)
    instance.openstack("server", "create", *asked, "--wait", server)
    shown = instance.openstack("port", "show", first)
    assert (shown["binding_vnic_type"], shown["binding_vif_type"]) == ("macvtap", "hw_veb")
    assert shown["status"] == "ACTIVE"
    assert shown["binding_vif_details"]["vlan"] == "900"
    assert "pci_slot" in shown["binding_profile"]
    instance.done("server", "add", "port", server, late)
    with pytest.raises(CommandFailed, match="in use"):
        instance.done("server", "create", *asked, there.name("other"))
    instance.done("server", "delete", "--wait", server)
    shown = instance.openstack("port", "show", first)
    assert (shown["binding_vif_type"], shown["status"]) == ("unbound", "DOWN")


def test_the_kind_that_is_made_for_a_server_may_be_macvtap(surroundings: Surroundings) -> None:
    instance, there = surroundings.instance, surroundings
    flavor, server = there.name("flavor"), there.name("server")
    instance.done("flavor", "create", "--ram", "64", "--vcpus", "1", "--disk", "1", flavor)
    instance.done("flavor", "set", "--property", "hw:vif_vnic_type=macvtap", flavor)
    asked = there.server_arguments(flavor, "--network", there.network)
    instance.openstack("server", "create", *asked, "--wait", server)
    (port,) = instance.openstack("port", "list", "--server", server)
    shown = instance.openstack("port", "show", port["ID"])
    assert shown["binding_vnic_type"] == "macvtap"
    instance.done("server", "delete", "--wait", server)
