"""The lines that guides print, as operators paste them."""

from pathlib import Path

import pytest

from config_cases import write_files
from lanekeeper.config.doctor.examine import examine

RHEL_7 = """\
scheduler_available_filters=nova.scheduler.filters.all_filters
scheduler_default_filters=RetryFilter,RamFilter,ComputeFilter,CoreFilter, PciPassthroughFilter
pci_passthrough_whitelist={"devname": "enp5s0f1", "physical_network":"physnet1"}
~ pci_passthrough_whitelist = \\{"vendor_id": "8086","product_id": "10ac", \
"physical_network":"physnet1"} ~
==> openvswitch_agent.ini <==
[ml2]
tenant_network_types = vlan
type_drivers = vlan
mechanism_drivers = openvswitch, sriovnicswitch
[ml2_type_vlan]
network_vlan_ranges = physnet1:15:20
==> sriov_agent.ini <==
[ml2_sriov]
supported_pci_vendor_devs = 15b3:1004,8086:10ca
agent_required = True
[sriov_nic]
physical_device_mappings = physnet1:enp4s0f1
exclude_devices =
exclude_devices = eth1:0000:07:00.2; 0000:07:00.3
"""
NOVA_GUIDE = """\
[pci]
device_spec = { "address": "0000:41:00.0" }
device_spec = { "vendor_id": "8086", "product_id": "154d" }
alias = { "vendor_id":"8086", "product_id":"154d", "device_type":"type-PF", "name":"a1", \
"numa_policy":"preferred" }
dev_spec = {'vendor_id': '8086', 'product_id': '1515', 'live_migratable': 'yes'}
alias = {'name': 'vf_live', 'vendor_id': '8086', 'product_id': '1515', \
'device_type': 'type-VF', 'live_migratable': 'yes'}
[filter_scheduler]
enabled_filters = ...,PciPassthroughFilter
available_filters = nova.scheduler.filters.all_filters
"""
VIO = """\
==> custom.yml <==
---
# nova_pci_alias
nova_pci_alias: [{"device_type": "type-VF", "name": "virtual-device-name"}, \
{"vendor_id":"8086", "product_id":"10c9", "device_type": "type-PF", "name":"physical-device-name"}]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            RHEL_7,
            [
                "nova.conf:1 key-gone",
                "nova.conf:2 key-outside-section",
                "nova.conf:2 filter-gone",
                "nova.conf:3 key-outside-section",
                "nova.conf:3 spec-devname",
                "nova.conf:4 markup-left",
                "nova.conf:4 key-outside-section",
                "openvswitch_agent.ini:2 key-old",
                "sriov_agent.ini:2 key-gone",
                "sriov_agent.ini:3 key-gone",
                "sriov_agent.ini:6 key-contradicted",
                "sriov_agent.ini:7 interface-unmapped",
            ],
        ),
        (
            NOVA_GUIDE,
            [
                "nova.conf:2 spec-address-alone",
                "nova.conf:5 value-loose-json",
                "nova.conf:5 key-of-a-guide",
                "nova.conf:5 spec-migratable-versions",
                "nova.conf:6 value-loose-json",
                "nova.conf:8 value-refused",
            ],
        ),
        (VIO, ["custom.yml:3 alias-any-device"]),
    ],
    ids=["rhel-7", "nova", "vio"],
)
def test_a_guides_lines_are_judged_one_by_one(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    findings = examine(write_files(text, tmp_path)).findings
    assert [f"{Path(f.source.file).name}:{f.source.line} {f.id}" for f in findings] == expected
