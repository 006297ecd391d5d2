import json
from typing import Any

import pytest

from lanekeeper.domain.errors import Forbidden, Invalid
from lanekeeper.domain.pci.alias import Alias, NumaPolicy, check_together, find, parse_option
from lanekeeper.domain.pci.device import DeviceType

QAT = {"name": "qat", "vendor_id": "8086", "product_id": "0443"}


def test_everything_that_an_alias_can_say() -> None:
    entry = {
        **QAT,
        "name": " qat ",
        "device_type": "type-VF",
        "numa_policy": "required",
        "resource_class": "gpu.A16",
        "traits": "blue, HW_GPU_API_VULKAN",
        "live_migratable": "yes",
        "capability_type": "pci",
    }
    assert Alias.parse(entry) == Alias(
        name="qat",
        vendor_id=0x8086,
        product_id=0x0443,
        dev_type=DeviceType.VF,
        numa_policy=NumaPolicy.REQUIRED,
        resource_class="CUSTOM_GPU_A16",
        traits=frozenset({"CUSTOM_BLUE", "HW_GPU_API_VULKAN"}),
        live_migratable=True,
    )


def test_without_a_class_the_ids_name_it() -> None:
    assert Alias.parse(QAT).resource_class == "CUSTOM_PCI_8086_0443"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "name None must be text"),
        ({"name": ""}, "must have 1 to 256 characters"),
        ({"name": "  "}, "must have 1 to 256 characters"),
        ({"name": "x" * 257}, "must have 1 to 256 characters"),
        ({"vendor_id": "086"}, "vendor_id '086' must be exactly four"),
        ({"vendor_id": "8086\n"}, "must be exactly four"),
        ({"product_id": "\u0661443"}, "must be exactly four"),
        ({"device_type": "vdpa"}, "device_type 'vdpa' is none of type-PCI, type-PF, type-VF"),
        ({"numa_policy": "near"}, "none of legacy, preferred, required, socket"),
        ({"live_migratable": True}, "live_migratable True must be text"),
        ({"live_migratable": "?"}, "neither true nor false"),
        ({"resource_class": "vcpu"}, "counts of itself"),
        ({"physical_network": "p"}, "alias has no key 'physical_network'"),
    ],
)
def test_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        Alias.parse({**QAT, **change})


def test_an_alias_must_tell_which_devices() -> None:
    for entry in ({"name": "x"}, {"name": "x", "product_id": "0443"}, {"name": "x", "traits": "a"}):
        with pytest.raises(Invalid, match="needs vendor_id and product_id, or a resource_class"):
            Alias.parse(entry)
    assert Alias.parse({"name": "x", "resource_class": "gpu"}).resource_class == "CUSTOM_GPU"


@pytest.mark.parametrize("kind", ["type-VF", "type-PF", "type-PCI"])
def test_a_type_alone_means_any_device_of_it(kind: str) -> None:
    anything = parse_option(f'{{"name": "x", "device_type": "{kind}", "traits": "big"}}')
    assert (anything.dev_type, anything.resource_class) == (kind, None)
    assert anything.traits == {"CUSTOM_BIG"}
    with pytest.raises(Invalid, match="needs vendor_id and product_id, or a resource_class"):
        Alias.parse({"name": "x", "device_type": kind, "product_id": "0443"})


def test_a_misspelt_key_is_named() -> None:
    with pytest.raises(Invalid, match="no key 'dev_type'") as caught:
        Alias.parse({**QAT, "dev_type": "type-VF"})
    assert caught.value.hint == "did you mean 'device_type'?"


def test_alternatives_agree_in_type_and_policy() -> None:
    one = Alias.parse(QAT, source="nova.conf:3")
    same = Alias.parse({**QAT, "product_id": "0442", "numa_policy": "legacy"})
    check_together([one, same])
    other = Alias.parse({**QAT, "device_type": "type-PF"}, source="nova.conf:4")
    with pytest.raises(Invalid, match=r"nova.conf:4: .*type-PF, but none in nova.conf:3"):
        check_together([one, same, other])


def test_alternatives_are_found_in_their_order() -> None:
    first, second = Alias.parse(QAT), Alias.parse({**QAT, "product_id": "0442"})
    other = Alias.parse({**QAT, "name": "b"})
    assert find([first, other, second], "qat") == (first, second)


def test_an_unknown_alias_is_named_with_those_that_exist() -> None:
    aliases = [Alias.parse({**QAT, "name": name}) for name in ("a1", "b", "b")]
    with pytest.raises(Invalid, match="PCI alias a9 is not defined") as caught:
        find(aliases, "a9")
    assert caught.value.hint == "defined are: a1, b; add it to [pci] alias, or use one of these"
    with pytest.raises(Invalid) as caught:
        find([], "a9")
    assert "no [pci] alias is defined" in caught.value.hint


@pytest.mark.parametrize("name", ["a,b", "gpu:a16", ":", "a,"])
def test_a_name_that_no_flavor_can_write_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="has a comma or a colon, so no flavor can ask for it") as no:
        Alias.parse({**QAT, "name": name})
    assert "NAME:COUNT" in no.value.hint


def test_a_key_that_nothing_reads_is_told() -> None:
    assert Alias.parse(QAT).cautions == ()
    (caution,) = Alias.parse({**QAT, "capability_type": "pci"}).cautions
    assert "with it Nova never finds a device" in caution
    for value in ("usb", 1, None):
        with pytest.raises(Invalid, match="capability_type"):
            Alias.parse({**QAT, "capability_type": value})


def test_an_option_is_one_object() -> None:
    assert parse_option(json.dumps(QAT)).name == "qat"
    with pytest.raises(Invalid, match="not a JSON object"):
        parse_option(json.dumps([QAT]))


def test_an_alias_may_be_for_some_projects_only() -> None:
    aliases = [
        Alias.parse({**QAT, "project_ids": ["p1", "p2"]}),
        Alias.parse({**QAT, "product_id": "0442", "project_ids": ["p2"]}),
        Alias.parse({**QAT, "name": "any"}),
    ]
    assert [len(find(aliases, "qat", project)) for project in ("p1", "p2", None)] == [1, 2, 2]
    assert len(find(aliases, "any", "p3")) == 1
    with pytest.raises(Forbidden, match="PCI alias qat is not for project p3") as caught:
        find(aliases, "qat", "p3")
    assert "project_ids of the alias" in caught.value.hint


@pytest.mark.parametrize("ids", [[], "p1", ["p1", 2], [""], None, {"p1": True}])
def test_projects_of_an_alias_are_a_list_of_ids(ids: Any) -> None:
    with pytest.raises(Invalid, match=r"project_ids .* must be a list with at least one"):
        Alias.parse({**QAT, "project_ids": ids})


def test_a_near_miss_of_project_ids_is_named() -> None:
    with pytest.raises(Invalid, match="alias has no key 'project_id'") as caught:
        Alias.parse({**QAT, "project_id": "p1"})
    assert caught.value.hint == "did you mean 'project_ids'?"


def test_device_id_is_called_product_id() -> None:
    with pytest.raises(Invalid, match="no key 'device_id'") as refused:
        Alias.parse({"name": "a1", "vendor_id": "8086", "device_id": "10ca"})
    assert "the device's is 'product_id'" in str(refused.value.hint)
