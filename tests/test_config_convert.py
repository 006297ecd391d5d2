import json
import re
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
CURLY = VF.replace('"', "\u201d")


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
        "# mended: it was no JSON, but something like it\n"
        'alias = {"name": "a1", "vendor_id": "8086", "product_id": "10ca"}\n# the end\n\n'
        "[filter_scheduler]\nenabled_filters = ComputeFilter, PciPassthroughFilter\n\n"
        "[DEFAULT]\nmy_ip = 192.0.2.1\n",
        "ml2_conf.ini": "[ml2]\nproject_network_types = vlan\n\n"
        "[ml2_type_vlan]\n# web\n# mended: what follows a value on its line is a part of "
        "it, and no "
        "comment\nnetwork_vlan_ranges = physnet1:15:20\n",
        "sriov_agent.ini": "[ml2_sriov]\n# no longer exists: a port is bound only where an agent "
        "reports\n#agent_required = True\n\n"
        "[sriov_nic]\n# mapped\nphysical_device_mappings = physnet1:enp4s0f1\n",
    }


@pytest.mark.parametrize("line", ["this \u201cline\u201d says\u00a0nothing", "  [pci", "= nothing"])
def test_a_line_that_cannot_be_read_is_handed_back_as_it_stands(tmp_path: Path, line: str) -> None:
    found = converted(f"[DEFAULT]\n{line}\nmy_ip = 192.0.2.1\n", tmp_path)
    assert found.files["nova.conf"] == (
        "[DEFAULT]\n# left for you to decide: the line cannot be read\n"
        f"#{line}\nmy_ip = 192.0.2.1\n"
    )
    assert [(note.source.line, note.reason) for note in found.left] == [
        (2, "the line cannot be read")
    ]


@pytest.mark.parametrize("head", ["", "[DEFAULT]\n"])
def test_a_key_that_moved_is_written_in_its_section_of_today(tmp_path: Path, head: str) -> None:
    text = f"{head}scheduler_available_filters=nova.scheduler.filters.all_filters\n"
    found = converted(text, tmp_path)
    (written,) = found.files.values()
    assert "[filter_scheduler]\n" in written
    assert "\navailable_filters = nova.scheduler.filters.all_filters\n" in written
    assert "no longer exists" not in written
    assert found.left == ()


def test_vios_aliases_become_lines(tmp_path: Path) -> None:
    text = (
        "==> custom.yml <==\n# our cards\nnova_pci_alias:\n"
        f'  - {{"device_type": "type-VF", "name": "v"}}\n  - {{{VF}, "name": "p"}}\nother: 1\n'
    )
    found = converted(text, tmp_path)
    assert found.files == {
        "nova.conf": "[pci]\n# our cards\n"
        'alias = {"device_type": "type-VF", "name": "v"}\n'
        f'alias = {{{VF}, "name": "p"}}\n'
    }
    assert found.left == ()


def test_what_cannot_be_understood_is_kept_as_a_comment(tmp_path: Path) -> None:
    text = "[pci]\ndevice_spec = 8086:10ca\n[DEFAULT]\nreserved_host_cpus = many\n$ ls\n"
    found = converted(text, tmp_path)
    assert len(found.left) == 3
    for line in ("#device_spec = 8086:10ca", "#reserved_host_cpus = many", "#$ ls"):
        assert f"{line}\n" in found.files["nova.conf"]
    load(write_new(found.files, tmp_path / "new"))


@pytest.mark.parametrize(
    ("line", "written"),
    [
        (
            'device_spec = {"vendr_id": "8086", "product_id": "10ca"}',
            "# left for you to decide: device_spec has no key 'vendr_id' (below it is "
            "'vendor_id')\n"
            '#device_spec = {"vendor_id": "8086", "product_id": "10ca"}\n',
        ),
        (
            'device_spec = [{"vendor_id": "8086"}, {"device_id": "10ca"}]',
            'device_spec = {"vendor_id": "8086"}\n# left for you to decide: device_spec has no key '
            "'device_id': the vendor's number is 'vendor_id', the device's is 'product_id'\n"
            '#device_spec = {"device_id": "10ca"}\n',
        ),
        (
            'devic_spec = {"vendor_id": "8086"}',
            "# left for you to decide: nobody reads [pci] devic_spec; it looks like [pci] "
            "device_spec\n"
            '#devic_spec = {"vendor_id": "8086"}\n',
        ),
    ],
)
def test_what_nobody_read_does_not_become_a_line_that_counts(
    tmp_path: Path, line: str, written: str
) -> None:
    found = converted(f"[pci]\n{line}\n", tmp_path)
    assert found.files == {"nova.conf": f"[pci]\n{written}"}
    assert len(found.left) == 1
    assert found.mended == ()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (f"dev_spec = {{{VF}}}", "nothing reads dev_spec, which a guide prints"),
        (f"~ device_spec = \\{{{VF}}} ~", "marks of a web page stood in the line"),
        (f"device_spec = {{{CURLY}}}", "the quotes were typographic"),
        (
            f"report_in_placement = true\n  device_spec = {{{VF}}}",
            "it was indented, and so a part of the value above it",
        ),
        ('device_spec = {"vendor_id": 8086, "product_id": "10ca"}', "ids were numbers"),
        (f"device_spec = {{{VF}, managed='no'}}", "it was no JSON"),
    ],
)
def test_what_counts_now_and_did_not_is_said(tmp_path: Path, lines: str, said: str) -> None:
    found = converted(f"[pci]\n{lines}\n", tmp_path)
    (note,) = found.mended
    assert note.reason.startswith(said)
    mended, line = found.files["nova.conf"].splitlines()[-2:]
    assert mended == f"# mended: {note.reason}"
    assert line.startswith(f"device_spec = {{{VF[:12]}")
    assert found.left == ()


def test_a_line_before_any_section_that_means_nothing_stays_without_meaning(tmp_path: Path) -> None:
    found = converted("virt_type = kvm\nfoo = 1\n", tmp_path)
    assert found.files["nova.conf"] == (
        "[DEFAULT]\n# left for you to decide: nobody reads virt_type outside of a section; "
        "it needs "
        "[libvirt]\n#virt_type = kvm\n# left for you to decide: nobody reads foo outside of a "
        "section; it needs a section\n#foo = 1\n"
    )


def test_filters_that_are_gone_are_left_out_with_the_reason(tmp_path: Path) -> None:
    text = "[filter_scheduler]\nenabled_filters = RetryFilter,ComputeFilter, RamFilter,CoreFilter\n"
    assert converted(text, tmp_path).files["nova.conf"] == (
        "[filter_scheduler]\n# left out: RetryFilter no longer exists: where a claim is lost "
        "another host is tried anyway, and a guest that fails to start is tried on no other; "
        "RamFilter and CoreFilter no longer exist: what a host has is always counted\n"
        "enabled_filters = ComputeFilter\n"
    )


def test_a_value_that_is_overridden_says_by_what(tmp_path: Path) -> None:
    text = "[DEFAULT]\nhost = a\n==> b.conf <==\n[DEFAULT]\nhost = b\n"
    nova = converted(text, tmp_path).files["nova.conf"].replace(f"{tmp_path}/", "")
    assert nova == "[DEFAULT]\n# overridden by b.conf:2:\n#host = a\nhost = b\n"


def test_todays_name_wins_over_an_old_one_that_stands_behind(tmp_path: Path) -> None:
    text = (
        "[filter_scheduler]\nenabled_filters = ComputeFilter\n"
        "[DEFAULT]\nscheduler_default_filters = PciPassthroughFilter\n"
    )
    nova = converted(text, tmp_path).files["nova.conf"]
    assert "\nenabled_filters = ComputeFilter\n" in nova
    assert "\n#enabled_filters = PciPassthroughFilter\n" in nova


def test_entries_under_several_names_are_written_as_they_were_read(tmp_path: Path) -> None:
    spec = '{{"vendor_id": "8086", "product_id": "{}"}}'
    text = (
        f"[pci]\n# of today\ndevice_spec = {spec.format('0001')}\n"
        f"passthrough_whitelist = {spec.format('0002')}\n"
        f"[DEFAULT]\npci_passthrough_whitelist = {spec.format('0003')}\n"
    )
    written = converted(text, tmp_path).files["nova.conf"]
    assert re.findall(r"000\d|# of today", written) == ["0003", "0002", "# of today", "0001"]


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
).filter(lambda one: one["vendor_id"] != "*" or one.keys() & {"product_id", "address"})
"""What selects every device is refused; there is nothing for it to mean."""
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


@pytest.mark.parametrize(
    "line",
    [
        "report_in_placement = \u201ctru\u201de",
        'alias = {\u201cname\u201d: "a", "vendor_id": 80\u00a086',
        "pci_passthrough_whitelist = {'vendor_id': \u201c8086\u201d; }}",
    ],
)
def test_a_value_that_nobody_can_read_is_kept_to_the_letter(tmp_path: Path, line: str) -> None:
    written = converted(f"[pci]\n{line}\n", tmp_path)
    (text,) = written.files.values()
    assert f"\n#{line}\n" in text
    assert [note.source.line for note in written.left] == [2]


def test_an_old_key_of_novas_does_not_become_neutrons(tmp_path: Path) -> None:
    text = "[DEFAULT]\nfirewall_driver = nova.virt.firewall.NoopFirewallDriver\n"
    (written,) = converted(text, tmp_path).files.values()
    assert "\n#firewall_driver = nova.virt.firewall.NoopFirewallDriver\n" in written
    assert "\nfirewall_driver" not in written
