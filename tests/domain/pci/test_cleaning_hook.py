import json
from typing import Any

import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.cleaning_hook import CleaningHook, environment_of
from lanekeeper.domain.pci.device import DeviceType, PciDevice

VF = PciDevice(
    address=PciAddress.parse("0000:41:10.3"),
    vendor_id=0x8086,
    product_id=0x10CA,
    class_code=0x020000,
    dev_type=DeviceType.VF,
    parent=PciAddress.parse("0000:41:00.0"),
    vf_index=3,
)


def hook(**more: Any) -> CleaningHook:
    return CleaningHook.parse(json.dumps({"command": ["/bin/wipe"]} | more))


@pytest.mark.parametrize(
    ("keys", "covers"),
    [
        ({}, True),
        ({"vendor_id": "8086", "product_id": "*"}, True),
        ({"product_id": "10CA"}, True),
        ({"vendor_id": "10de"}, False),
        ({"class": "02"}, True),
        ({"class": "0200"}, True),
        ({"class": "020001"}, False),
        ({"class": "0302"}, False),
    ],
)
def test_a_hook_is_for_ids_and_classes(keys: dict[str, Any], covers: bool) -> None:
    assert hook(**keys).covers(VF) is covers


def test_a_word_stands_for_the_address_and_the_environment_tells_the_rest() -> None:
    command = ["/bin/wipe", "{address}", "--at={address}"]
    told = ("/bin/wipe", "0000:41:10.3", "--at={address}")
    assert hook(command=command).arguments(VF) == told
    environment = environment_of(VF)
    assert environment["LANEKEEPER_PF"] == "0000:41:00.0"
    assert environment["LANEKEEPER_VF_INDEX"] == "3"
    assert environment["LANEKEEPER_CLASS"] == "020000"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("wipe", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"command": "/bin/wipe"}', "command is not a list of words"),
        ('{"command": []}', "command is not a list of words"),
        ('{"vendor_id": "8086"}', "command is not a list of words"),
        ('{"command": ["wipe"]}', "'wipe', which is no absolute path"),
        ('{"command": ["/a", "b\\u0000"]}', "a word with a NUL"),
        ('{"command": ["/a"], "vendor": "8086"}', "'vendor' is none of command, vendor_id"),
        ('{"command": ["/a"], "vendor_id": 8086}', "vendor_id '8086' is not 4 hexadecimal"),
        ('{"command": ["/a"], "class": "030"}', "class '030' is not 2, 4 or 6 hexadecimal"),
        ('{"command": ["/a"], "timeout_s": 0}', "timeout_s 0 is not a number above 0"),
        ('{"command": ["/a"], "timeout_s": true}', "timeout_s True is not a number above 0"),
        ('{"command": ["/a"], "timeout_s": 9999}', "at most 3600"),
    ],
)
def test_what_is_wrong_is_named(text: str, says: str) -> None:
    with pytest.raises(Invalid, match="cleaning_hooks") as refused:
        CleaningHook.parse(text)
    assert says in str(refused.value)
