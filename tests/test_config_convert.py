import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_cases import write_files
from lanekeeper.cli.config import write_new
from lanekeeper.config import load
from lanekeeper.config.doctor.convert import Converted, convert
from lanekeeper.config.doctor.examine import examine
from lanekeeper.domain.errors import Invalid

VF = '"vendor_id": "8086", "product_id": "10ca"'


def converted(text: str, directory: Path) -> Converted:
    return convert(examine(write_files(text, directory)).case)


def test_an_old_file_is_written_in_todays_form_with_its_comments(tmp_path: Path) -> None:
    text = (
        "# Kilo\n"
        "; the first card\n"
        'pci_passthrough_whitelist={"devname": "enp5s0f1", "physical_network":"physnet1"}\n'
        "scheduler_default_filters=ComputeFilter, PciPassthroughFilter\n"
        "[DEFAULT]\nmy_ip = 192.0.2.1\n\n# ours\npci_alias = {'name': 'a1', 'vendor_id': '8086', "
        "'product_id': '10ca'}\n# the end\n"
        "==> ml2_conf_sriov.ini <==\n[ml2_sriov]\nagent_required = True\n[sriov_nic]\n"
        "# mapped\nphysical_device_mappings = physnet1:enp4s0f1\n"
        "==> ml2_conf.ini <==\n[ml2]\ntenant_network_types = vlan\n[ml2_type_vlan]\n"
        "network_vlan_ranges = physnet1:15:20 # web\n"
    )
    found = converted(text, tmp_path)
    assert found.left == ()
    assert found.files == {
        "nova.conf": "[pci]\n# Kilo\n; the first card\n"
        'device_spec = {"devname": "enp5s0f1", "physical_network":"physnet1"}\n\n# ours\n'
        'alias = {"name": "a1", "vendor_id": "8086", "product_id": "10ca"}\n# the end\n\n'
        "[filter_scheduler]\nenabled_filters = ComputeFilter, PciPassthroughFilter\n\n"
        "[DEFAULT]\nmy_ip = 192.0.2.1\n",
        "ml2_conf.ini": "[ml2]\nproject_network_types = vlan\n\n"
        "[ml2_type_vlan]\n# web\nnetwork_vlan_ranges = physnet1:15:20\n",
        "sriov_agent.ini": "[ml2_sriov]\n# no longer exists: a port is bound only where an agent "
        "reports\n#agent_required = True\n\n"
        "[sriov_nic]\n# mapped\nphysical_device_mappings = physnet1:enp4s0f1\n",
    }


def test_vios_aliases_become_lines_and_those_of_vsphere_alone_are_left(tmp_path: Path) -> None:
    text = (
        "==> custom.yml <==\n# our cards\nnova_pci_alias:\n"
        f'  - {{"device_type": "type-VF", "name": "v"}}\n  - {{{VF}, "name": "p"}}\nother: 1\n'
    )
    found = converted(text, tmp_path)
    assert found.files == {
        "nova.conf": "[pci]\n# our cards\n"
        "# left for you to decide: an alias in nova.conf needs vendor_id and product_id, or a "
        'resource_class\n#alias = {"device_type": "type-VF", "name": "v"}\n'
        f'alias = {{{VF}, "name": "p"}}\n'
    }
    assert [left.source.line for left in found.left] == [3]


def test_what_cannot_be_understood_is_kept_as_a_comment(tmp_path: Path) -> None:
    text = "[pci]\ndevice_spec = 8086:10ca\n[DEFAULT]\nreserved_host_cpus = many\n$ ls\n"
    found = converted(text, tmp_path)
    assert len(found.left) == 3
    for line in ("#device_spec = 8086:10ca", "#reserved_host_cpus = many", "# $ ls"):
        assert f"{line}\n" in found.files["nova.conf"]
    load(write_new(found.files, tmp_path / "new"))


def test_a_value_that_is_overridden_says_by_what(tmp_path: Path) -> None:
    text = "[DEFAULT]\nhost = a\n==> b.conf <==\n[DEFAULT]\nhost = b\n"
    nova = converted(text, tmp_path).files["nova.conf"].replace(f"{tmp_path}/", "")
    assert nova == "[DEFAULT]\n# overridden by b.conf:2:\n#host = a\nhost = b\n"


def test_files_are_written_over_no_other_and_for_their_owner_only(tmp_path: Path) -> None:
    (tmp_path / "ml2_conf.ini").write_text("mine")
    with pytest.raises(Invalid, match=r"ml2_conf.ini: File exists"):
        write_new({"nova.conf": "a", "ml2_conf.ini": "b"}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ml2_conf.ini"]
    (path,) = write_new({"nova.conf": "a"}, tmp_path / "x" / "y")
    assert path.stat().st_mode & 0o777 == 0o600


_SPEC = st.fixed_dictionaries(
    {"vendor_id": st.sampled_from(["8086", "*", "0x15b3"])},
    optional={
        "product_id": st.sampled_from(["10ca", "1018"]),
        "address": st.sampled_from(["0000:3b:00.1", ":0a:00.", {"bus": "3b$"}, {"slot": "$x"}]),
        "physical_network": st.sampled_from(["physnet1", "", None, "réseau", "a#b", "p$host"]),
        "managed": st.sampled_from([True, False, "yes"]),
        "live_migratable": st.booleans(),
        "rack": st.sampled_from(["r 1", "# x", 7, {"a": [1]}, "it's"]),
    },
)
_ALIAS = st.fixed_dictionaries(
    {"name": st.sampled_from(["a1", "a2", "$host"])},
    optional={"traits": st.sampled_from(["HW_GPU_API_VULKAN", "x, y"])},
).map(lambda one: one | {"vendor_id": "8086", "product_id": "10ca"})


@st.composite
def _assignments(draw: st.DrawFn) -> str:
    """One assignment as operators write it, of the section it needs."""
    indent = draw(st.sampled_from([None, 2]))
    spec = json.dumps(draw(_SPEC), indent=indent).replace("\n", "\n   ")
    alias = json.dumps(draw(_ALIAS))
    text = draw(
        st.sampled_from(
            [
                f"[DEFAULT]\npci_passthrough_whitelist = {spec}",
                f"[pci]\npassthrough_whitelist: {spec}",
                f"[pci]\ndevice_spec = [{spec},\n  {spec}]",
                f"[PCI]\ndevice-spec={spec}",
                f"[DEFAULT]\npci_alias = {alias}",
                f"[pci]\nalias = '{alias}'",
                "[pci]\nreport_in_placement = no",
                "[DEFAULT]\nscheduler_default_filters = RetryFilter,\n  ComputeFilter",
                "[filter_scheduler]\nenabled_filters = PciPassthroughFilter",
                "[DEFAULT]\nreserved_host_cpus = 3\nreserved-host-cpus = 4",
                "[DEFAULT]\nhost = one\nmy_ip = $host",
                "[DEFAULT]\ninitial_cpu_allocation_ratio = 2.5",
                "[ml2]\nmechanism_drivers = openvswitch,\n\tsriovnicswitch",
                "[ml2]\ntenant_network_types = vlan",
                "[ml2_type_vlan]\nnetwork_vlan_ranges = p:1:2, q",
                "[SRIOV_NIC]\nphysical_device_mappings = p:ens1,q:ens2",
                "[lanekeeper]\nregion = Here",
                '[keystone_authtoken]\npassword = "a\'$$b"',
                "[keystone_authtoken]\npassword = 'x' 'y'",
                "[database]\nconnection = mysql://x\n  # y",
                "[api]\nauth_strategy = noauth2",
                "[placement]\nmax_allocation_candidates = 5",
            ]
        )
    )
    comment = draw(st.sampled_from(["", "# why\n", "\n; so\n\n"]))
    head, _, rest = text.partition("\n")
    return f"{head}\n{comment}{rest}\n"


_FILES = st.dictionaries(
    st.sampled_from(["nova.conf", "agent.ini", "z.ini"]), st.lists(_assignments(), max_size=6)
)
_VIO = st.lists(_ALIAS, max_size=2).map(lambda some: f"nova_pci_alias: {json.dumps(some)}\n")


@given(_FILES, _VIO)
def test_what_is_written_means_the_same(
    tmp_path_factory: pytest.TempPathFactory, files: Mapping[str, list[str]], vio: str
) -> None:
    directory = tmp_path_factory.mktemp("convert")
    paths = []
    for name, texts in (*files.items(), ("custom.yml", [vio])):
        paths.append(directory / name)
        paths[-1].write_text("".join(texts))
    before = load(paths).config
    found = convert(examine(paths).case)
    assert found.left == ()
    written = write_new(found.files, directory / "new")
    assert (load(written).config if written else load(paths[-1:]).config) == before
    again = write_new(convert(examine(written).case).files, directory / "again")
    assert not again or load(again).config == before


@given(st.text(alphabet="[]{}\":,=$\n \t#;pciadevslo\u201c\u3000~\\'", max_size=120))
def test_whatever_is_written_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    directory = tmp_path_factory.mktemp("any")
    path = directory / "any.conf"
    path.write_text(f"[pci]\n{text}\n[DEFAULT]\nhost = a\n")
    written = write_new(convert(examine([path]).case).files, directory / "new")
    load(written)
