import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.config import Config, Loaded, load, sample_path
from lanekeeper.config.names import OWN_SECTIONS, openstack_options, options
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.vlan import VlanRange
from lanekeeper.domain.pci.health import Action, Rule, Signal
from lanekeeper.domain.topology.page_size import ReservedPages

VF = '{"vendor_id": "8086", "product_id": "10ca"}'
ALIAS = '{"name": "a1", "vendor_id": "8086", "product_id": "10ca"}'
OLD_FILTERS = "scheduler_default_filters=ComputeFilter,PciPassthroughFilter"


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Reader":
    monkeypatch.chdir(tmp_path)
    return Reader()


class Reader:
    """Writes one file into the working directory and loads it."""

    def __call__(self, text: str, name: str = "nova.conf") -> Loaded:
        path = Path(name)
        path.write_text(text)
        return load([path])


def test_a_file_that_says_nothing_leaves_every_default(read: Reader) -> None:
    assert read("[DEFAULT]\n") == Loaded(Config())


def test_the_sample_applies_without_a_file() -> None:
    loaded = load(())
    assert loaded.warnings == ()
    assert loaded == load([sample_path()])
    assert [alias.name for alias in loaded.config.pci.alias] == ["a1", "nvme"]
    (whole,) = loaded.config.ml2.vlan_ranges["physnet1"]
    assert 15 in whole
    assert 16 in whole


def test_several_files_of_openstack_make_one_tree(tmp_path: Path) -> None:
    nova, ml2, agent = (tmp_path / name for name in ("nova.conf", "ml2.ini", "sriov.ini"))
    nova.write_text(
        f"[DEFAULT]\nhost = node-1\ntransport_url = rabbit://\n[pci]\ndevice_spec = {VF}\n"
        f"alias = {ALIAS}\n[filter_scheduler]\n"
        "enabled_filters = ComputeFilter,PciPassthroughFilter\n"
    )
    ml2.write_text(
        "[ml2]\ntenant_network_types = vlan\nmechanism_drivers = openvswitch, sriovnicswitch\n"
        "physical_network_mtus = p:9000\n[ml2_type_vlan]\nnetwork_vlan_ranges = p:10:19,q\n"
    )
    agent.write_text(
        "[SRIOV_NIC]\nphysical_device_mappings = p:ens1\nexclude_devices = ens1:3b:00.2\n"
    )
    loaded = load([nova, ml2, agent])
    config = loaded.config
    assert config.compute.host == "node-1"
    assert config.scheduler.enabled_filters == ("ComputeFilter", "PciPassthroughFilter")
    assert config.pci.device_spec[0].source == f"{nova}:5"
    assert config.ml2.mechanism_drivers == ("openvswitch", "sriovnicswitch")
    assert config.ml2.vlan_ranges == {"p": (VlanRange(10, 19),), "q": (VlanRange(),)}
    assert config.ml2.physical_network_mtus == {"p": 9000}
    assert config.sriov_nic.physical_device_mappings == {"p": ("ens1",)}
    assert loaded.warnings == (
        f"{ml2}:2: [ml2] tenant_network_types is now [ml2] project_network_types",
    )


def test_later_values_win_and_repeatable_ones_add_up(tmp_path: Path) -> None:
    first, second = tmp_path / "a.conf", tmp_path / "b.conf"
    for path, memory in ((first, 1), (second, 2)):
        path.write_text(f"[DEFAULT]\nreserved_host_memory_mb = {memory}\n[pci]\nalias = {ALIAS}\n")
    config = load([first, second]).config
    assert config.compute.reserved_host_memory_mb == 2
    assert [alias.source for alias in config.pci.alias] == [f"{first}:4", f"{second}:4"]


def test_todays_name_wins_over_an_old_one_as_in_oslo_config(read: Reader) -> None:
    text = (
        "[filter_scheduler]\nenabled_filters = ComputeFilter, PciPassthroughFilter\n"
        "[DEFAULT]\nscheduler_default_filters = PciPassthroughFilter\n"
    )
    assert "ComputeFilter" in read(text).config.scheduler.enabled_filters


def test_a_later_file_wins_with_an_old_name_too(tmp_path: Path) -> None:
    new, old = tmp_path / "a.conf", tmp_path / "b.conf"
    new.write_text("[filter_scheduler]\nenabled_filters = ComputeFilter\n")
    old.write_text("[DEFAULT]\nscheduler_default_filters = PciPassthroughFilter\n")
    assert "ComputeFilter" not in load([new, old]).config.scheduler.enabled_filters


def test_entries_under_older_names_come_first_as_in_oslo_config(read: Reader) -> None:
    spec = '{{"vendor_id": "8086", "product_id": "{}"}}'
    text = (
        f"[pci]\ndevice_spec = {spec.format('0001')}\n"
        f"passthrough_whitelist = {spec.format('0002')}\n"
        f"[DEFAULT]\npci_passthrough_whitelist = {spec.format('0003')}\n"
        f"[pci]\ndevice_spec = {spec.format('0004')}\n"
    )
    found = re.findall(r"000\d", " ".join(one.text for one in read(text).config.pci.device_spec))
    assert found == ["0003", "0002", "0001", "0004"]


@pytest.mark.parametrize(
    "entry",
    [
        "{}",
        '{"devname": ""}',
        '{"address": ""}',
        '{"address": null, "physical_network": "physnet1"}',
        '{"vendor_id": "*", "product_id": "*"}',
        '{"address": "*:*:*.*"}',
        '{"address": {"bus": ".*"}}',
        f"[{VF}, {{}}]",
    ],
)
def test_an_entry_that_selects_the_whole_machine_is_refused(read: Reader, entry: str) -> None:
    with pytest.raises(Invalid, match=r"^nova\.conf:2: .*selects every PCI function") as error:
        read(f"[pci]\ndevice_spec = {entry}\n")
    assert "vendor_id and product_id" in error.value.hint


@pytest.mark.parametrize("option", ["device_spec", "alias"])
def test_a_key_twice_in_one_entry_is_refused(read: Reader, option: str) -> None:
    twice = '{"name": "x_a", "vendor_id": "8086", "product_id": "10ca", "vendor_id": "15b3"}'
    with pytest.raises(Invalid, match=rf"nova\.conf:3: .*{option} says 'vendor_id' 2 times"):
        read(f"[pci]\n# cards\n{option} = {twice}\n")


@pytest.mark.parametrize(
    "key",
    [
        "build_failure_weight_multiplier",
        "host_subset_size",
        "shuffle_best_same_weighed_hosts",
        "io_ops_weight_multiplier",
        "image_props_weight_multiplier",
        "num_instances_weight_multiplier",
    ],
)
def test_what_of_the_choice_of_hosts_is_not_followed_is_said(read: Reader, key: str) -> None:
    assert read(f"[filter_scheduler]\n{key} = 1\ncpu_weight_multiplier = 2\n").warnings == (
        f"nova.conf:2: [filter_scheduler] {key} has no effect: hosts are not chosen by it here",
    )


@pytest.mark.parametrize(
    ("filters", "told"),
    [("nova.scheduler.filters.all_filters", 0), ("acme.filters.Ours", 1)],
)
def test_filters_that_are_made_available_are_novas(read: Reader, filters: str, told: int) -> None:
    text = f"[filter_scheduler]\navailable_filters = {filters}\n"
    assert len(read(text).warnings) == told


def test_a_value_may_go_on_over_indented_lines(read: Reader) -> None:
    text = f"[pci]\n# two\ndevice_spec = [{VF},\n   {VF}]\nalias = {ALIAS}\n"
    config = read(text).config
    assert [spec.source for spec in config.pci.device_spec] == ["nova.conf:3"] * 2
    assert config.pci.alias[0].source == "nova.conf:5"


@pytest.mark.parametrize(
    ("text", "new"),
    [
        (f"[DEFAULT]\npci_passthrough_whitelist = {VF}\n", "[pci] device_spec"),
        (f"[pci]\npassthrough_whitelist = {VF}\n", "[pci] device_spec"),
        (f"pci_passthrough_whitelist={VF}\n", "[pci] device_spec"),
        (f"device_spec = {VF}\n", "[pci] device_spec"),
        (f"[DEFAULT]\npci_alias = {ALIAS}\n", "[pci] alias"),
        (f"alias = {ALIAS}\n", "[pci] alias"),
        (
            "[DEFAULT]\nscheduler_default_filters=ComputeFilter,PciPassthroughFilter\n",
            "enabled_filters",
        ),
        (f"{OLD_FILTERS}\n", "enabled_filters"),
    ],
)
def test_old_names_are_read_with_a_warning_that_names_the_new(
    read: Reader, text: str, new: str
) -> None:
    loaded = read(text)
    (warning,) = loaded.warnings
    assert warning.endswith(new)
    assert loaded.config != Config()


def test_filters_of_older_releases_are_left_out_and_named(read: Reader) -> None:
    # The RHEL chapter prints this line, blank included.
    loaded = read(
        "[filter_scheduler]\nenabled_filters=RetryFilter,AvailabilityZoneFilter,RamFilter,"
        "ComputeFilter,CoreFilter, PciPassthroughFilter\n"
    )
    assert loaded.config.scheduler.enabled_filters == ("ComputeFilter", "PciPassthroughFilter")
    assert loaded.warnings[0].endswith(
        "left out: RetryFilter no longer exists: where a claim is lost another host is tried "
        "anyway, and a guest that fails to start is tried on no other; "
        "AvailabilityZoneFilter no longer exists: zones are always obeyed; "
        "RamFilter and CoreFilter no longer exist: what a host has is always counted"
    )


@pytest.mark.parametrize(
    ("text", "error", "line"),
    [
        (
            "[pci]\ndev_spec = {'vendor_id': '8086'}\n",
            "nova.conf:2: there is no key dev_spec: a guide prints it, and nothing reads it",
            'device_spec = {"vendor_id": "8086"}',
        ),
        (
            '[pci]\ndevice_spec = {"vendor_id": "8086", managed=\'no\', trusted = true}\n',
            "nova.conf:2: [pci] device_spec",
            'device_spec = {"vendor_id": "8086", "managed": "no", "trusted": "true"}',
        ),
        (
            '~ pci_passthrough_whitelist = \\{"vendor_id": "8086"} ~\n',
            "nova.conf:1: '~ pci_passthrough_whitelist' is no key: signs of a web page",
            'device_spec = {"vendor_id": "8086"}',
        ),
        (
            '[pci]\nalias\uff1d{"name"\uff1a "a", "resource_class": "GPU"}\n',
            'nova.conf:2: \'alias\uff1d{"name"\uff1a',
            'alias = {"name": "a", "resource_class": "GPU"}',
        ),
        (
            "[pci]\ndevice_spec = {\u201cvendor_id\u201d: \u201c8086\u201d}\n",
            "nova.conf:2: [pci] device_spec '{\u201cvendor_id",
            'device_spec = {"vendor_id": "8086"}',
        ),
        (
            '[pci]\ndevice_spec = {"vendor_id": 8086, "address": "0000:$user:00.1"}\n',
            "nova.conf:2: [pci] device_spec: vendor_id 8086",
            None,
        ),
        (
            '[pci]\nalias = [{"name": "a$$b", "resource_class": "A"}, '
            '{"name": "b", "resource_class": "B"}]\n',
            "nova.conf:2: [pci] alias [{",
            'alias = {"name": "a$$b", "resource_class": "A"}; '
            'alias = {"name": "b", "resource_class": "B"}',
        ),
        (
            "[sriov_nic]\nphysical_device_mappings = physnet1\uff1aens1f0\n",
            "nova.conf:2: [sriov_nic] physical_device_mappings 'physnet1\uff1aens1f0'",
            "physical_device_mappings = physnet1:ens1f0",
        ),
        (
            "[filter_scheduler]\nenabled_filters = ...,ComputeFilter\n",
            "nova.conf:2: [filter_scheduler] enabled_filters: ... stands in the guide for",
            "enabled_filters = ComputeCapabilitiesFilter,ImagePropertiesFilter,"
            "ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,PciPassthroughFilter,"
            "NUMATopologyFilter,ComputeFilter",
        ),
        ("[pci]\ndevice_spec = {'vendr_id': '8086'}\n", "nova.conf:2: [pci] device_spec", None),
    ],
)
def test_a_refused_line_names_the_one_that_was_meant(
    read: Reader, text: str, error: str, line: str | None
) -> None:
    with pytest.raises(Invalid) as caught:
        read(text)
    assert error in str(caught.value)
    section = text[text.index("[") + 1 : text.index("]")] if text[0] == "[" else "pci"
    meant = f"meant is, in [{section}]: {line} (`lanekeeper config convert` writes it)"
    assert (caught.value.hint == meant) is (line is not None)


def test_what_is_read_and_not_obeyed_is_said(read: Reader) -> None:
    text = "[sriov_nic]\nphysical_device_mappings = p:e1\nresource_provider_bandwidths = e1:10:10\n"
    (drivers,) = read("[ml2]\nmechanism_drivers = openvswitch\n" + text).warnings
    place = "nova.conf:2: [ml2] mechanism_drivers"
    assert drivers.startswith(f"{place} is read and not obeyed")
    assert read("[ml2]\nmechanism_drivers = openvswitch,sriovnicswitch\n").warnings == ()


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("resource_provider_bandwidths = e2:10:10", "'e2'"),
        ("resource_provider_bandwidths = e1:ten:10", "'e1:ten:10'"),
        ("resource_provider_bandwidths = e1:10:10,e1:5:5", "'e1' twice"),
        ("resource_provider_hypervisors = e2:host-a", "'e2'"),
        ("resource_provider_hypervisors = e1", "'e1'"),
        ("resource_provider_inventory_defaults = total:7", "'total:7'"),
        ("resource_provider_inventory_defaults = reserved:-1", "'reserved:-1'"),
    ],
)
def test_a_wrong_word_on_bandwidth_is_named_with_its_line(
    read: Reader, line: str, entry: str
) -> None:
    text = f"[sriov_nic]\nphysical_device_mappings = p:e1\n{line}\n"
    with pytest.raises(Invalid, match=rf"nova.conf:3: .*{re.escape(entry)}"):
        read(text)


def test_filters_that_do_nothing_here_and_one_that_cannot_be_left_out_are_named(
    read: Reader,
) -> None:
    loaded = read(
        "[filter_scheduler]\nenabled_filters = ComputeFilter, MetricsFilter,NUMATopologyFilter\n"
    )
    idle, unchecked = loaded.warnings
    place = "nova.conf:2: [filter_scheduler] enabled_filters"
    assert idle == f"{place}: no host is turned away by MetricsFilter here"
    assert "PciPassthroughFilter is not among them; devices are checked all the same" in unchecked
    both = read("[filter_scheduler]\nenabled_filters = AllHostsFilter,PciPassthroughFilter\n")
    assert both.warnings == ()


def test_reporting_that_is_switched_off_gives_one_notice(read: Reader) -> None:
    loaded = read("[pci]\nreport_in_placement = false\n[filter_scheduler]\npci_in_placement = no\n")
    assert [warning.split(" has ")[0] for warning in loaded.warnings] == [
        "nova.conf:2: [pci] report_in_placement = false",
        "nova.conf:4: [filter_scheduler] pci_in_placement = false",
    ]


def test_openstacks_own_keys_are_passed_over_in_silence(read: Reader) -> None:
    text = "[DEFAULT]\nmy_ip = 192.0.2.1\n[libvirt]\nvirt_type = kvm\n[keystone_authtoken]\n"
    assert (
        read(text + "auth_url = x\nusername = nova\n[OVS]\nbridge_mappings = p:br\n").warnings == ()
    )


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("[sriov]\nphysical_device_mappings = p:e\n", "did you mean [sriov_nic] physical_device"),
        ("[libvirt]\nvirt_typ = kvm\n", "did you mean [libvirt] virt_type?"),
        (
            "[vendor]\nfoo = 1\n",
            "nova.conf:2: [vendor] foo is neither Lanekeeper's nor OpenStack's",
        ),
        ("[DEFAULT]\nscheduler_available_filters = x\n", "is now [filter_scheduler] avail"),
        (f'[pci]\ndevice_spec = {VF[:-1]}, "rack": 1}}\n', "key 'rack' selects nothing"),
        (f'[pci]\nalias = {VF[:-1]}, "name": "a", "capability_type": "pci"}}\n', "says nothing"),
    ],
)
def test_keys_that_are_nobodys_are_named(read: Reader, text: str, warning: str) -> None:
    (said,) = read(text).warnings
    assert warning in said
    assert said.startswith("nova.conf:2: ")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("[pci]\ndevice_spek", "[pci] device_spec"),
        ("[pci]\npassthrough_whitelists", "[pci] device_spec"),
        ("[pci]\naliases", "[pci] alias"),
        ("[pci]\npci_alias", "[pci] alias"),
        ("[DEFAULT]\npci_passthrough_whitelists", "[pci] device_spec"),
        ("[DEFAULT]\npci_aliasses", "[pci] alias"),
    ],
)
def test_what_nearly_lists_devices_is_refused_with_its_line(
    read: Reader, key: str, meant: str
) -> None:
    with pytest.raises(Invalid, match=r"nova.conf:2: there is no key") as caught:
        read(f"{key} = {VF}\n")
    assert caught.value.hint == f"did you mean {meant}?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[lanekeeper]\nlistn = x\n", r"nova.conf:2: there is no key \[lanekeeper\] listn"),
        ("[pci]\n\nalias = {'name': 'x'}\n", r"nova.conf:3: \[pci\] alias .* is not JSON"),
        (
            '[pci]\ndevice_spec = {"vendr_id": "1"}\n',
            r"nova.conf:2: \[pci\] device_spec has no key",
        ),
        ("[pci]\ndevice_spec =\n", r"nova.conf:2: \[pci\] device_spec '' is not JSON"),
        ("[ml2_type_vlan]\nnetwork_vlan_ranges = p:0:9\n", r"nova.conf:2: \[ml2_type_vlan\] netw"),
        ("[ml2]\nphysical_network_mtus = p:10\n", r"'p:10' is not PHYSNET:MTU"),
        ("[DEFAULT]\ncpu_allocation_ratio = -1\n", "'-1' is not a number above 0"),
        ("[DEFAULT]\ncpu_allocation_ratio = nan\n", "'nan' is not a number"),
        ("[DEFAULT]\nreserved_host_cpus = 1.5\n", "'1.5' is not a whole number"),
        ("[DEFAULT]\nhost = $my_ip\n", r"\[DEFAULT\] host: '\$my_ip' is not a name"),
        ("[lanekeeper]\nrefuse_unschedulable = maybe\n", "'maybe' is neither true nor false"),
        ("[lanekeeper]\nbody_bytes_max = 1\n", "at least 1024 and at most"),
        ("[lanekeeper]\nlisten = :80\n", "':80' is not HOST:PORT"),
        ("[lanekeeper]\nlisten = ftp://a:1\n", "is not HOST:PORT"),
        ("[lanekeeper]\nlisten = a:70000\n", "is not HOST:PORT"),
        ("[lanekeeper]\nlisten = ,\n", "nothing to listen on"),
        ("[filter_scheduler]\nenabled_filters = MyFilter\n", "there is no filter MyFilter"),
        ("[sriov_nic]\nexclude_devices = e:3b:00.1\n", "nova.conf:2: .*physical_device_mappings"),
        (f'[lanekeeper]\nstrict_device_spec=1\n[pci]\ndevice_spec={VF[:-1]},"x":1}}', "no key 'x'"),
        ("[pci]\nno value\n", "nova.conf:2: No ':' or '=' found"),
        ("[pci\n", "nova.conf:1: Invalid section"),
        ("  [pci]\n", "nova.conf:1: Unexpected continuation"),
        ("[pci]\nfoo = \0\n", "nova.conf:2: has a NUL byte"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(read: Reader, text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        read(text)


def test_alternatives_that_disagree_name_both_lines(read: Reader) -> None:
    other = ALIAS[:-1] + ', "device_type": "type-PF"}'
    with pytest.raises(Invalid, match=r"nova.conf:3: .*type-PF, but none in nova.conf:2"):
        read(f"[pci]\nalias = {ALIAS}\nalias = {other}\n")


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nova.conf"
    with pytest.raises(Invalid, match=r"nova.conf cannot be read: No such file"):
        load([path])
    path.write_bytes(b"[pci]\n\xff\n")
    with pytest.raises(Invalid, match=r"nova.conf:2: not UTF-8"):
        load([path])
    path.write_bytes(b"#" * (4 * 2**20 + 1))
    with pytest.raises(Invalid, match="is larger than"):
        load([path])


def test_a_policy_file_lies_beside_the_file_that_names_it(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
    path = tmp_path / "a" / "nova.conf"
    path.write_text("[oslo_policy]\npolicy_file = rules.yaml\n")
    assert load([path]).config.rules.policy_file == str(tmp_path / "a" / "rules.yaml")
    path.write_text(f"[oslo_policy]\npolicy_file = {tmp_path}/b/rules.yaml\n")
    assert load([path]).config.rules.policy_file == str(tmp_path / "b" / "rules.yaml")
    assert load([], {"oslo_policy.policy_file": "rules.yaml"}).config.rules.policy_file == str(
        Path.cwd() / "rules.yaml"
    )


def test_values_may_name_others_and_expressions_keep_their_dollar(read: Reader) -> None:
    config = read(
        "[DEFAULT]\nname = n1\nhost = ${name}.lan\n"
        '[pci]\ndevice_spec = {"address": {"bus": "3b$"}}\n'
    ).config
    assert config.compute.host == "n1.lan"
    assert str(config.pci.device_spec[0].address) == ".*:3b$:.*..*"


def test_overrides_replace_what_files_say() -> None:
    overrides = {"lanekeeper.refuse_unschedulable": "true", "pci.alias": ALIAS}
    config = load((), overrides).config
    assert config.lanekeeper.refuse_unschedulable
    assert [alias.source for alias in config.pci.alias] == ["command line"]
    with pytest.raises(Invalid, match=r"command line: there is no option lanekeeper.x"):
        load((), {"lanekeeper.x": "1"})


def test_vios_custom_yml_is_read(read: Reader) -> None:
    loaded = read(
        "---\n# VMware Integrated OpenStack\nglance_foo: 1\nnova_pci_alias: "
        '[{"device_type": "type-VF", "name": "virtual"},\n  {"vendor_id":"8086", '
        '"product_id":"10c9", "device_type": "type-PF", "name":"physical"}]\n',
        "custom.yml",
    )
    virtual, physical = loaded.config.pci.alias
    assert (virtual.name, virtual.resource_class, virtual.source) == (
        "virtual",
        None,
        "custom.yml:4",
    )
    assert (physical.product_id, physical.source) == (0x10C9, "custom.yml:5")
    (warning,) = loaded.warnings
    assert warning.startswith("custom.yml: of a custom.yml only nova_pci_alias")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nova_pci_alias: [{\n", "custom.yml:2: not YAML"),
        ("- a\n", "custom.yml:1: a custom.yml is a mapping"),
        ("\nnova_pci_alias:\n  - {name: a}\n", "custom.yml:3: .*or a device_type alone"),
        (
            "\nnova_pci_alias:\n  - {name: a, device_type: type-VF}\n  - {nam: a}\n",
            "custom.yml:4: .*no key 'nam'",
        ),
        ("nova_pci_alias: [{name: a, vendor_id: 8086}]\n", "vendor_id 8086 must be text"),
        ("nova_pci_alias: [!!python/object:os.system {}]\n", "custom.yml:1: not a value"),
        ("nova_pci_alias: 2020-01-01\n", "custom.yml:1: not a value"),
    ],
)
def test_a_wrong_custom_yml_is_named_with_its_line(read: Reader, text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        read(text, "custom.yml")


@given(st.text())
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    directory = tmp_path_factory.getbasetemp()
    for name in ("any.conf", "any.yml"):
        path = directory / name
        path.write_bytes(text.encode(errors="surrogatepass"))
        with suppress(Invalid):
            load([path])


def test_every_key_that_is_not_our_own_is_openstacks() -> None:
    known = openstack_options()
    for option in options().values():
        if option.section not in OWN_SECTIONS:
            assert option.key in known[option.section.lower()], option.name


def test_every_field_of_the_tree_can_be_configured() -> None:
    fields = {(part, name) for part in Config.__struct_fields__ for name in _fields(part)}
    assert fields == set(options())


def _fields(part: str) -> tuple[str, ...]:
    fields: tuple[str, ...] = getattr(Config(), part).__struct_fields__
    return fields


def test_no_cpu_is_for_one_guest_and_for_all(read: Reader) -> None:
    loaded = read("[compute]\ncpu_dedicated_set = 4-7,^5\ncpu_shared_set = 0-3\n")
    assert loaded.config.cpus.cpu_dedicated_set == {4, 6, 7}
    with pytest.raises(Invalid, match=r"nova.conf:3: .*CPU 3-4 is in cpu_dedicated_set, too"):
        read("[compute]\ncpu_dedicated_set = 3-7\ncpu_shared_set = 0-4\n")
    with pytest.raises(Invalid, match=r"nova.conf:2: .*7-4 runs backwards"):
        read("[compute]\ncpu_dedicated_set = 7-4\n")


def test_pages_that_are_kept_from_guests(read: Reader) -> None:
    text = "[DEFAULT]\nreserved_huge_pages = node:0,size:2048,count:64\n"
    two = read(f"{text}reserved_huge_pages = size:1GB, count:1, node:1\n").config.cpus
    assert two.reserved_huge_pages == (ReservedPages(0, 2048, 64), ReservedPages(1, 1048576, 1))
    for wrong, words in (
        ("node:0,size:2048", "is not node:N,size:SIZE,count:N"),
        ("node:0,size:2048,count:64,count:1", "is not node:N,size:SIZE,count:N"),
        ("node:x,size:2048,count:64", "node 'x' is no whole number"),
        ("node:0,size:large,count:64", "size large is no size"),
    ):
        with pytest.raises(Invalid, match=rf"nova.conf:3: .*{words}"):
            read(f"{text}reserved_huge_pages = {wrong}\n")


def test_health_is_judged_as_configured(tmp_path: Path) -> None:
    path = tmp_path / "nova.conf"
    path.write_text("[health]\nlink_down = warn\nclear_after_s = 60\nnonfatal_errors = 2\n")
    rules = load([path]).config.health.rules()
    assert rules[Signal.LINK_DOWN] == Rule(action=Action.WARN, raise_after_s=30, clear_after_s=60)
    assert rules[Signal.AER_NONFATAL].errors == 2
    assert rules[Signal.AER_FATAL].action is Action.EXCLUDE


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("link_down = exlude", r"\[health\] link_down.*exlude"),
        ("link_don = warn", "did you mean .*link_down"),
        ("clear_after_s = -1", r"\[health\] clear_after_s"),
    ],
)
def test_a_wrong_line_of_health_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "nova.conf"
    path.write_text(f"[health]\n{line}\n")
    with pytest.raises(Invalid) as refused:
        load([path])
    said = f"{refused.value} {refused.value.hint}"
    assert "nova.conf:2" in said
    assert re.search(reason, said), said
