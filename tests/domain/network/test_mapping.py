from collections.abc import Callable

import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.mapping import (
    Bandwidth,
    InventoryDefaults,
    parse_bandwidths,
    parse_bridge_mappings,
    parse_device_mappings,
    parse_excluded_devices,
    parse_hypervisors,
    parse_inventory_defaults,
    parse_named_hypervisors,
    parse_shared_mappings,
)
from lanekeeper.domain.pci.address import PciAddress

MAPPINGS = {"p": ("ens1", "ens2")}


def test_a_network_may_have_several_interfaces_and_the_reverse() -> None:
    read = parse_device_mappings("p:ens1, p:ens2 ,q:ens1,p:ens1,")
    assert read == {"p": ("ens1", "ens2"), "q": ("ens1",)}


@pytest.mark.parametrize("text", ["p", "p:", ":e", "p:e:f", "p:a/b", "p:" + "x" * 16])
def test_a_wrong_mapping_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not PHYSNET:INTERFACE"):
        parse_device_mappings(text)


def test_excluded_addresses_are_addresses() -> None:
    read = parse_excluded_devices("ens1:0000:07:00.2; 07:00.3,ens2:", MAPPINGS)
    addresses = {PciAddress.parse("07:00.2"), PciAddress.parse("07:00.3")}
    assert read == {"ens1": addresses, "ens2": frozenset()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ens1", "is not INTERFACE:ADDRESS"),
        ("ens1:07:00.2,ens1:07:00.3", "twice"),
        ("ens9:07:00.2", "in no physical_device_mappings"),
        ("ens1:07:00.9", "is not a PCI address"),
    ],
)
def test_a_wrong_exclusion_is_refused(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_excluded_devices(text, MAPPINGS)


def test_bandwidths_may_leave_numbers_out() -> None:
    read = parse_bandwidths("ens1:10:,ens2", MAPPINGS)
    assert read == {"ens1": Bandwidth(egress_kbps=10), "ens2": Bandwidth()}


@pytest.mark.parametrize(
    "text", ["ens1:1", "ens1:1:2:3", "ens1:-1:2", "ens1:1.5:2", ":1:2", "e:1:1"]
)
def test_a_wrong_bandwidth_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="resource_provider_bandwidths"):
        parse_bandwidths(text, MAPPINGS)


def test_interfaces_belong_to_the_host_unless_said_otherwise() -> None:
    assert parse_hypervisors("ens2:other", MAPPINGS, "host") == {"ens1": "host", "ens2": "other"}
    with pytest.raises(Invalid, match="is not INTERFACE:HOST"):
        parse_hypervisors("ens2", MAPPINGS, "host")


def test_inventory_defaults() -> None:
    assert parse_inventory_defaults("") == InventoryDefaults()
    read = parse_inventory_defaults("allocation_ratio:2.5, max_unit:9")
    assert read == InventoryDefaults(allocation_ratio=2.5, max_unit=9)


@pytest.mark.parametrize(
    "text", ["total:1", "min_unit:1.5", "allocation_ratio:-1", "reserved", "reserved:1,reserved:2"]
)
def test_wrong_inventory_defaults_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="resource_provider_inventory_defaults"):
        parse_inventory_defaults(text)


@pytest.mark.parametrize(
    ("parse", "text", "wrong"),
    [
        (parse_device_mappings, "p,q:ens1,r:a/b", ("'p' is", "'r:a/b' is")),
        (parse_shared_mappings, "p,q:ens1,r:a/b", ("'p' is", "'r:a/b' is")),
        (
            parse_bridge_mappings,
            "p:br1,q,p:br2,r:br1",
            ("'q' is not PHYSNET:BRIDGE", "names p twice", "names bridge br1 twice"),
        ),
        (
            parse_excluded_devices,
            "ens1:07:00.9;zz,ens2,ens1:07:00.1",
            ("'07:00.9'", "'zz'", "'ens2' is not INTERFACE:ADDRESS", "has 'ens1' twice"),
        ),
        (parse_bandwidths, "ens1:1,ens2:a:b", ("'ens1:1' is not", "'ens2:a:b' is not")),
        (parse_named_hypervisors, "ens1,ens2:", ("'ens1' is not", "'ens2:' is not")),
        (parse_inventory_defaults, "reserved:x,min:1", ("'reserved:x' is", "'min:1' is")),
    ],
)
def test_all_that_is_wrong_in_one_line_is_told(
    parse: Callable[[str], object], text: str, wrong: tuple[str, ...]
) -> None:
    with pytest.raises(Invalid) as refused:
        parse(text)
    for words in wrong:
        assert words in str(refused.value)
