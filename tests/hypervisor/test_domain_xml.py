import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from hypervisor.blueprints import ID, PORT, aliased, macvtapped, paired, placed, ported, server
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.hypervisor.driver import Blueprint, GuestFiles, HeldDevice
from lanekeeper.hypervisor.libvirt.card_xml import card_xml, function_xml
from lanekeeper.hypervisor.libvirt.domain_xml import (
    domain_xml,
    parse_domain,
    with_metadata,
)
from lanekeeper.hypervisor.libvirt.markup import NAMESPACE
from lanekeeper.protocol import CellWanted, GuardWanted, TapWanted

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("name", "blueprint", "kvm"),
    [
        ("ported-kvm", ported, True),
        ("aliased-qemu", aliased, False),
        ("placed-kvm", placed, True),
        ("macvtapped-kvm", macvtapped, True),
        ("paired-kvm", paired, True),
    ],
)
def test_domain_xml_is_as_it_was_read_and_approved(
    name: str, blueprint: Callable[[], Blueprint], kvm: bool
) -> None:
    """To write the files anew: ``LANEKEEPER_REWRITE=1 pytest``, and read the difference."""
    path = GOLDEN / f"{name}.xml"
    said = domain_xml(blueprint(), kvm=kvm, generation=2)
    if os.environ.get("LANEKEEPER_REWRITE"):
        path.write_text(said)
    assert said == path.read_text()


@pytest.mark.skipif(not shutil.which("virt-xml-validate"), reason="libvirt-clients is not there")
@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.xml")), ids=lambda path: path.stem)
def test_libvirts_own_schema_takes_it(path: Path) -> None:
    done = subprocess.run(
        ["virt-xml-validate", str(path), "domain"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_was_written_is_read_back() -> None:
    blueprint = ported()
    facts = parse_domain(domain_xml(blueprint, kvm=True, generation=2))
    assert (facts.id, facts.generation, facts.reboots) == (ID, 2, 2)
    assert facts.drivers == blueprint.devices
    assert facts.addresses == tuple(held.address for held in blueprint.devices)


def test_a_macvtap_is_known_by_the_function_below_it() -> None:
    blueprint = macvtapped()
    text = domain_xml(blueprint, kvm=True)
    facts = parse_domain(text)
    assert facts.drivers == blueprint.devices
    assert sorted(facts.addresses) == [held.address for held in blueprint.devices]
    first = blueprint.devices[0]
    card = etree.fromstring(function_xml(text, first.address) or "")
    assert (card.get("type"), card.find("source[@dev='ens1v0']") is not None) == ("direct", True)
    # What the guest has let go of is not its own any more, whatever the metadata says.
    domain = etree.fromstring(text)
    devices = domain.find("devices")
    assert devices is not None
    devices.remove(devices.findall("interface")[0])
    less = parse_domain(etree.tostring(domain, encoding="unicode"))
    assert first in less.drivers
    assert first.address not in less.addresses


def test_a_macvtap_needs_the_name_of_its_interface() -> None:
    blueprint = replace(macvtapped(), devices=())
    with pytest.raises(Invalid, match=r"the interface of 0000:21:10\.0 is not known"):
        domain_xml(blueprint, kvm=True)


def test_a_macvtap_of_a_stranger_says_nothing_of_functions() -> None:
    facts = parse_domain(
        "<domain><devices><interface type='direct'><source dev='ens1v0' mode='passthrough'/>"
        "</interface></devices></domain>"
    )
    assert (facts.id, facts.addresses) == (None, ())


def test_flavor_devices_are_read_back_in_any_pci_domain() -> None:
    facts = parse_domain(domain_xml(aliased(), kvm=False))
    assert [str(one) for one in facts.addresses] == [
        "0000:41:00.0",
        "00ff:0a:1f.7",
        "10000:e1:00.0",
    ]


def test_a_domain_without_our_metadata_is_a_strangers() -> None:
    facts = parse_domain(
        "<domain><name>x</name><metadata><other xmlns='urn:x' id='1'/></metadata><devices>"
        "<hostdev type='usb'><source><vendor id='0x1'/></source></hostdev>"
        "<hostdev type='pci'><source><address bus='0x21' slot='0x10' function='0x2'/></source>"
        "</hostdev></devices></domain>"
    )
    assert (facts.id, [str(one) for one in facts.addresses]) == (None, ["0000:21:10.2"])
    with pytest.raises(Invalid, match="no metadata of Lanekeeper"):
        with_metadata("<domain/>", generation=1)


def test_only_the_generation_of_the_metadata_changes() -> None:
    element = etree.fromstring(with_metadata(domain_xml(ported(), kvm=True), generation=9))
    assert sorted(element.items()) == [("generation", "9"), ("id", ID), ("reboots", "2")]
    assert [(child.tag, child.items(), child.text) for child in element] == [
        ("device", [("address", "0000:21:10.0"), ("driver", "igbvf")], None),
        ("device", [("address", "0000:21:10.2")], None),
        ("item", [("key", "project")], "demo"),
    ]
    assert NAMESPACE not in etree.tostring(element, encoding="unicode")


@pytest.mark.parametrize("text", ["a\x00b", "a\x0bb"])
def test_text_that_xml_cannot_carry_is_refused(text: str) -> None:
    blueprint = Blueprint(
        server=server(kernel_arguments=text),
        files=GuestFiles(console=Path("/c"), kernel=Path("/k")),
    )
    with pytest.raises(Invalid, match=ID):
        domain_xml(blueprint, kvm=True)


addresses = st.builds(
    PciAddress,
    domain=st.integers(0, 0xFFFFFF),
    bus=st.integers(0, 255),
    slot=st.integers(0, 31),
    function=st.integers(0, 7),
)


@given(
    held=st.lists(
        st.builds(HeldDevice, addresses, st.sampled_from([None, "igbvf", "vfio-pci"])), max_size=5
    ),
    name=st.text(max_size=300),
    generation=st.integers(0, 2**40),
)
def test_any_name_and_any_devices_survive(
    held: list[HeldDevice], name: str, generation: int
) -> None:
    blueprint = Blueprint(
        server=server(name=name), files=GuestFiles(console=Path("/c")), devices=tuple(held)
    )
    facts = parse_domain(domain_xml(blueprint, kvm=True, generation=generation))
    assert (facts.drivers, facts.generation) == (tuple(held), generation)


def test_a_guest_of_one_floating_node_shares_its_cpus_with_the_hypervisors_threads() -> None:
    cell = CellWanted(node=1, cpus=[0, 1], memory_mib=192, floating=[4, 5, 6])
    blueprint = Blueprint(
        server=server(cells=[cell]), files=GuestFiles(console=Path("/tmp/console.log"))
    )
    root = etree.fromstring(domain_xml(blueprint, kvm=True))
    assert [one.get("cpuset") for one in root.iterfind("cputune/*")] == ["4-6", "4-6", "4-6"]
    assert root.findtext("vcpu") == "2"
    assert root.find("numatune/memnode[@nodeset='1']") is not None
    assert root.find("memoryBacking") is None
    (numa,) = root.iterfind("cpu/numa/cell")
    said = etree.tostring(numa, encoding="unicode").strip()
    assert said == '<cell id="0" cpus="0-1" memory="196608" unit="KiB"/>'


def test_a_pair_is_read_back_as_both_of_its_cards() -> None:
    blueprint = paired()
    text = domain_xml(blueprint, kvm=True)
    facts = parse_domain(text)
    assert [str(one) for one in facts.addresses] == ["0000:21:10.0", "0000:21:10.2"]
    assert facts.taps == (PORT,)
    # What is taken out of a guest is what libvirt says that it has, teaming and all.
    card = etree.fromstring(function_xml(text, facts.addresses[0]) or "")
    teaming = card.find("teaming")
    assert teaming is not None
    assert dict(teaming.items()) == {"type": "transient", "persistent": f"ua-{PORT}"}
    # And what is plugged in later says the same.
    assert etree.canonicalize(
        card_xml(blueprint.server.nics[0]), strip_text=True
    ) == etree.canonicalize(etree.tostring(card, encoding="unicode"), strip_text=True)


TAP = TapWanted(
    port_id="port",
    mac="52:54:00:15:00:0b",
    bridge="br-ex",
    physical_network="physnet1",
    vlan=15,
    mtu=9000,
    link=False,
    model="e1000e",
)
TAP_XML = """<interface type="bridge">
  <mac address="52:54:00:15:00:0b"/>
  <source bridge="br-ex"/>
  <vlan><tag id="15"/></vlan>
  <virtualport type="openvswitch"><parameters interfaceid="port"/></virtualport>
  <model type="e1000e"/>
  <mtu size="9000"/>
  <link state="down"/>
</interface>"""


def test_a_card_of_a_switch_is_of_the_model_that_its_image_wants() -> None:
    expected = etree.canonicalize(TAP_XML, strip_text=True)
    assert etree.canonicalize(card_xml(TAP), strip_text=True) == expected
    blueprint = Blueprint(server=server(taps=[TAP]), files=GuestFiles(console=Path("/c")))
    (card,) = etree.fromstring(domain_xml(blueprint, kvm=True)).iterfind("devices/interface")
    assert etree.canonicalize(etree.tostring(card, encoding="unicode"), strip_text=True) == expected


def test_a_guarded_card_is_sealed_from_the_moment_it_is_plugged_in() -> None:
    guarded = card_xml(msgspec.structs.replace(TAP, guard=GuardWanted()))
    assert '<vlan trunk="yes"><tag id="4095"/></vlan>' in guarded
    assert '<tag id="15"/>' not in guarded
