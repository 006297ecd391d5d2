"""Metadata definitions: the panes in which a flavor gets its devices and an image its interface."""

import pytest

from running import Instance

pytestmark = pytest.mark.client
NAMESPACES = ("image", "metadef", "namespace")
RESOURCE_TYPE = ("image", "metadef", "resource", "type")
FLAVOR, IMAGE = "OS::Compute::VMwareFlavor", "OS::Compute::VMware"


def test_the_two_panes_are_listed_and_shown(shared: Instance) -> None:
    names = [one["namespace"] for one in shared.openstack(*NAMESPACES, "list")]
    assert names == sorted(names)
    assert {FLAVOR, IMAGE, "OS::Compute::LibvirtImage"} <= set(names)
    shown = shared.openstack(*NAMESPACES, "show", FLAVOR)
    assert shown["display_name"] == "VMware Driver Options for Flavors"
    of_images = shared.openstack(*NAMESPACES, "list", "--resource-types", "OS::Glance::Image")
    assert {one["namespace"] for one in of_images} == {IMAGE, "OS::Compute::LibvirtImage"}


def test_alias_and_interface_are_found_with_what_they_may_be(shared: Instance) -> None:
    (alias,) = shared.openstack("image", "metadef", "property", "list", FLAVOR)
    assert alias["name"] == "pci_passthrough:alias"
    shown = shared.openstack("image", "metadef", "property", "show", IMAGE, "hw_vif_model")
    assert "VirtualVmxnet3" in shown["enum"]
    assert shown["title"] == "Virtual Network Interface"


def test_each_says_what_it_is_for(shared: Instance) -> None:
    kinds = {one["Name"] for one in shared.openstack(*RESOURCE_TYPE, "list")}
    assert kinds == {"OS::Nova::Flavor", "OS::Glance::Image"}
    (mine,) = shared.openstack(*RESOURCE_TYPE, "association", "list", FLAVOR)
    assert mine["Name"] == "OS::Nova::Flavor"
    assert shared.openstack("image", "metadef", "object", "list", FLAVOR) == []


def test_what_is_not_there_is_said_with_what_is(shared: Instance) -> None:
    assert "hw_vif_model" in shared.refused("image", "metadef", "property", "show", IMAGE, "nic")
    told = shared.refused(*NAMESPACES, "show", "OS::Compute::Xen")
    assert "OS::Compute::Xen" in told
    assert FLAVOR in told


def test_a_list_comes_in_pages_and_is_read_only(shared: Instance) -> None:
    found, path = [], "/v2/metadefs/namespaces?limit=1&resource_types=OS::Nova::Flavor"
    with shared.http() as http:
        while path:
            page = http.get(f"/image{path}").json()
            found += [one["namespace"] for one in page["namespaces"]]
            path = page.get("next")
        assert found == ["OS::Compute::PciFlavor", FLAVOR]
        assert http.get("/image/v2/metadefs/namespaces?visibility=shared").status_code == 400
        assert http.get("/image/v2/metadefs/namespaces?marker=none").status_code == 400
        made = http.post("/image/v2/metadefs/namespaces", json={"namespace": "Mine"})
        assert made.status_code == 405
