from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config_cases import write_files
from lanekeeper.config import load, sample_path
from lanekeeper.config.doctor import reading
from lanekeeper.config.doctor.examine import Examined, examine
from lanekeeper.config.doctor.example_host import EXAMPLE_HOST
from lanekeeper.config.doctor.finding import Rule
from lanekeeper.config.doctor.meaning import meanings
from lanekeeper.config.doctor.reading import read_ini
from lanekeeper.config.doctor.table import RULES
from lanekeeper.config.file import NO_SECTION, read_files
from lanekeeper.config.names import options, spellings
from lanekeeper.domain.errors import Error, Invalid
from lanekeeper.domain.hostplan.findings.finding import Severity

VF = '"vendor_id": "8086", "product_id": "10ca"'


@pytest.fixture
def look(tmp_path: Path) -> "Looker":
    return Looker(tmp_path)


class Looker:
    """Writes files and shows them to the doctor; paths in what it says are bare names."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, text: str, *, on_host: bool = False) -> Examined:
        host = EXAMPLE_HOST if on_host else None
        return examine(write_files(text, self.directory), host)

    def said(self, text: str, rule: str, *, on_host: bool = False) -> list[tuple[int, str, str]]:
        found = self(text, on_host=on_host).findings
        return [
            (f.source.line, f.summary.replace(f"{self.directory}/", ""), f.fix)
            for f in found
            if f.id == rule
        ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_tells_its_two_examples_apart(look: Looker, rule: Rule) -> None:
    shown = look(rule.shows, on_host=rule.needs_host)
    spared = look(rule.spares, on_host=rule.needs_host)
    assert rule.id in {finding.id for finding in shown.findings}
    assert rule.id not in {finding.id for finding in spared.findings}
    assert shown.unreadable == spared.unreadable == ()


def test_ids_are_unique_and_words_are_there() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.what.endswith(".") and rule.severity is not Severity.OK for rule in RULES)


def test_every_mistake_of_a_file_is_told_at_its_line(look: Looker) -> None:
    text = (
        "scheduler_default_filters=RetryFilter,ComputeFilter\n"
        "[pci]\n"
        "dev_spec = {'vendor_id': '8086', 'product_id': '10ca'}\n"
        "device_spec = {\u201cvendr_id\u201d: \u201c8086\u201d}\n"
        "[sriov_nic]\n"
        "  physical_device_mappings = physnet1:ens1f0\n"
        "[ml2_type_vlan]\n"
        "network_vlan_ranges = physnet1:0:20\n"
    )
    found = {(f.source.line, f.id) for f in look(text).findings}
    assert found >= {
        (1, "key-outside-section"),
        (1, "filter-gone"),
        (3, "key-of-a-guide"),
        (3, "value-loose-json"),
        (4, "smart-quotes"),
        (4, "spec-key-misspelt"),
        (6, "indented-line"),
        (8, "value-refused"),
    }


def test_the_sample_of_the_package_has_no_finding_of_weight() -> None:
    examined = examine([sample_path()])
    assert not examined.has(Severity.ERROR)
    assert not examined.has(Severity.WARNING)


def test_an_overridden_value_names_the_file_that_wins(look: Looker) -> None:
    text = "[DEFAULT]\nreserved_host_cpus = 1\n==> b.conf <==\n[DEFAULT]\nreserved_host_cpus = 2\n"
    ((line, summary, _),) = look.said(text, "key-contradicted")
    assert line == 2
    assert summary == (
        "[DEFAULT] reserved_host_cpus does not count: b.conf:2 says '2', and the last wins"
    )


def test_lines_before_any_section_are_understood_where_guides_print_them_and_wrong_elsewhere(
    look: Looker,
) -> None:
    known = f"pci_passthrough_whitelist={{{VF}}}\nscheduler_available_filters=a\n"
    assert not look(known).has(Severity.ERROR)
    found = look.said(known + "virt_type = kvm\nmy_ip = 1.1.1.1\nx = y\n", "key-without-section")
    assert [(line, fix) for line, _, fix in found] == [
        (3, "[libvirt] above it"),
        (4, "[DEFAULT] above it"),
        (5, "its [section] above it"),
    ]


def test_what_is_right_is_a_line_to_paste(look: Looker) -> None:
    text = (
        "[pci]\ndevice_spec = {\u201cvendor_id\u201d: \u201c8086\u201d}\n"
        "dev_spec = {'vendor_id': '8086'}\n"
    )
    right = 'device_spec = {"vendor_id": "8086"}'
    says = (
        "\u201c \u201d: typographic quotes, as web pages have them; JSON has the straight one only"
    )
    assert look.said(text, "smart-quotes") == [(2, says, right)]
    assert look.said(text, "key-of-a-guide")[0][2] == right
    assert look.said(text, "value-loose-json")[0][2] == right


def test_each_wrong_key_of_one_entry_is_told(look: Looker) -> None:
    text = '[pci]\ndevice_spec = {"vendor_id": "zz", "address": "0:0:20.0", "managed": "maybe"}\n'
    words = " ".join(summary for _, summary, _ in look.said(text, "spec-refused"))
    for wrong in ("'zz'", "'20'", "'maybe'"):
        assert wrong in words


def test_ids_with_digits_in_another_order_have_the_meant_device_as_the_nearest(
    look: Looker,
) -> None:
    ids = '"vendor_id": "8086", "product_id": "0a45"'
    entry = f"[pci]\ndevice_spec = {{{ids}}}\n"
    ((_, summary, _),) = look.said(entry, "host-spec-idle", on_host=True)
    assert "(8086:0a54, type-PCI): product_id is 0a54, not 0a45" in summary
    alias = f'alias = {{"name": "a", {ids}}}'
    text = f'[pci]\ndevice_spec = {{"vendor_id": "8086"}}\n{alias}\n'
    ((_, summary, _),) = look.said(text, "host-alias-nothing", on_host=True)
    assert "(8086:0a54, type-PCI): product_id is 0a54, not 0a45" in summary


def test_an_entry_that_matches_nothing_names_the_nearest_and_the_first_field(look: Looker) -> None:
    text = f'[pci]\ndevice_spec = {{{VF}, "address": "0000:3b:1f.*"}}\n'
    ((_, summary, _),) = look.said(text, "host-spec-idle", on_host=True)
    assert summary == (
        "lists no device of the example host; nearest is 0000:3b:10.0 (8086:10ca, type-VF): "
        "address 0000:3b:10.0 is not covered"
    )


def test_an_alias_that_nothing_satisfies_says_what_the_nearest_lacks(look: Looker) -> None:
    alias = f'{{"name": "a1", {VF}, "device_type": "type-PF"}}'
    text = f"[pci]\ndevice_spec = {{{VF}}}\nalias = {alias}\n"
    ((_, summary, _),) = look.said(text, "host-alias-nothing", on_host=True)
    assert summary.endswith("it is type-VF, not type-PF")


def test_an_old_name_does_not_count_beside_todays_wherever_they_stand(look: Looker) -> None:
    text = (
        "[filter_scheduler]\nenabled_filters = ComputeFilter\n"
        "[DEFAULT]\nscheduler_default_filters = PciPassthroughFilter\n"
    )
    ((line, summary, _),) = look.said(text, "key-contradicted")
    assert line == 4
    assert summary.endswith("nova.conf:2 says 'ComputeFilter', and the newer name wins")


def test_names_in_the_wrong_section_are_told_apart_from_strangers(look: Looker) -> None:
    text = "[DEFAULT]\nphysical_device_mappings = p:e\nfoo_bar_baz = 1\n"
    ((line, _, fix),) = look.said(text, "key-misspelt")
    assert (line, fix) == (2, "[sriov_nic] physical_device_mappings = ...")
    assert [line for line, _, _ in look.said(text, "key-unknown")] == [3]


@pytest.mark.parametrize(
    ("section", "line", "rule", "fix"),
    [
        ("ovs", f"device_spec = {{{VF}}}", "key-misspelt", "[pci] device_spec = ..."),
        ("ovs", f"passthrough_whitelist = {{{VF}}}", "key-misspelt", "[pci] device_spec = ..."),
        ("libvirt", f'alias = {{"name": "a", {VF}}}', "key-misspelt", "[pci] alias = ..."),
        ("DEFAULT", "bridge_mappings = p:br", "key-misspelt", "[ovs] bridge_mappings = ..."),
        (
            "agent",
            "firewall_driver = noop",
            "key-misspelt",
            "[securitygroup] firewall_driver = ...",
        ),
        ("agent", "virt_type = kvm", "key-unknown", "[libvirt] virt_type = ..."),
    ],
)
def test_a_key_in_a_section_where_nobody_reads_it_is_told_with_its_section(
    look: Looker, section: str, line: str, rule: str, fix: str
) -> None:
    ((at, says, right),) = look.said(f"[{section}]\n{line}\n", rule)
    assert (at, right) == (2, fix)
    assert f"[{section}] {line.partition(' ')[0]} is read by nobody" in says


@pytest.mark.parametrize(
    ("section", "line", "rule", "fix"),
    [
        ("neutron", "url = http://n:9696", "key-old", "[neutron] endpoint_override = ..."),
        ("placement", "os_region_name = R", "key-old", "[placement] region_name = ..."),
        ("glance", "host = g", "key-gone", "remove the line"),
        ("scheduler", "driver = filter_scheduler", "key-gone", "remove the line"),
        (
            "DEFAULT",
            "firewall_driver = nova.virt.firewall.NoopFirewallDriver",
            "key-gone",
            "remove the line",
        ),
        ("neutron", "region = R", "key-unknown", "remove the line"),
        ("libvirt", "host = h", "key-unknown", "remove the line"),
        ("libvirt", "url = http://l", "key-unknown", "remove the line"),
        ("libvirt", "driver = d", "key-unknown", "remove the line"),
    ],
)
def test_a_key_that_many_could_have_is_not_sent_to_another_section(
    look: Looker, section: str, line: str, rule: str, fix: str
) -> None:
    text = f"[{section}]\n{line}\n"
    ((at, _, right),) = look.said(text, rule)
    assert (at, right.partition(",")[0]) == (2, fix)
    assert {found.id for found in look(text).findings if found.source.line == 2} == {rule}


def test_secrets_are_not_shown(look: Looker) -> None:
    text = (
        "[keystone_authtoken]\npassword = hunter2\npassword: hunter3\n"
        "[database]\nconnectoin = x\nconnection_passwrd = hunter4\n"
    )
    examined = look(text)
    words = [str(finding) for finding in examined.findings]
    words += [meaning for _, _, meaning in meanings(examined.case)]
    assert {"key-contradicted", "key-unknown"} <= {f.id for f in examined.findings}
    assert not any("hunter" in word for word in words)


def test_free_text_keeps_what_looks_like_a_web_pages(look: Looker) -> None:
    text = "[keystone_authtoken]\npassword = \u201cx\u201d # ~\n"
    (line,) = look(text).case.lines
    assert line.value == "\u201cx\u201d # ~"
    assert look(text).findings == ()


def test_every_line_that_is_read_says_what_it_means(look: Looker) -> None:
    text = (
        'pci_passthrough_whitelist = {"devname": "ens1f0", "physical_network": "physnet1"}\n'
        f'[pci]\nalias = {{"name": "a1", {VF}, "device_type": "type-VF"}}\nalias = 7\n'
    )
    assert [(key, words) for _, key, words in meanings(look(text).case)] == [
        ("[pci] device_spec", "devices of the interface ens1f0, for ports on physnet1"),
        ("[pci] alias", "a1:N in a flavor asks for VFs 8086:10ca; numa_policy legacy"),
        ("[pci] alias", "nothing: 7 is not a JSON object"),
    ]


def test_a_file_that_cannot_be_read_does_not_hide_the_others(look: Looker) -> None:
    paths = write_files("[pci]\ndevice_spec = {}\n", look.directory)
    broken = look.directory / "custom.yml"
    broken.write_text("a: [\n")
    examined = examine([look.directory / "missing.conf", broken, *paths])
    assert [f.id for f in examined.findings] == ["spec-selects-all"]
    missing, no_yaml = (text.replace(f"{look.directory}/", "") for text in examined.unreadable)
    assert missing.startswith("missing.conf cannot be read: No such file")
    assert no_yaml.startswith("custom.yml:2: not YAML: ")


def test_files_in_utf_16_are_read_and_named(look: Looker) -> None:
    path = look.directory / "nova.conf"
    path.write_bytes(f"[pci]\r\ndevice_spec = {{{VF}}}\r\n".encode("utf-16"))
    examined = examine([path])
    assert [f.id for f in examined.findings if f.severity is Severity.ERROR] == ["encoding"]
    assert len(examined.case.specs) == 1


_LINES = st.lists(
    st.sampled_from(
        [
            "[pci]",
            "[DEFAULT]",
            "",
            "# comment",
            "host = a",
            "  continued",
            f"device_spec = {{{VF}}}",
            f"device_spec = [{{{VF}}},",
            f"   {{{VF}}}]",
            "my_ip: 192.0.2.1",
            "password = 'x'",
            "reserved-host-cpus = 3",
        ]
    )
)


@given(_LINES)
def test_what_a_start_reads_is_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "same.conf"
    path.write_text("\n".join(lines))
    try:
        strict = read_files([path])
    except Invalid:
        return
    # What stays open is joined on purpose: the brackets say where the value was meant to end.
    if any(entry.value.count("[") > entry.value.count("]") for entry in strict):
        return
    loose = read_ini(str(path), path.read_text()).assignments
    assert [(one.section, one.key, one.value, str(one.source)) for one in loose] == [
        (entry.section, entry.key, entry.value, entry.source) for entry in strict
    ]


_PLACES = sorted({at[:2] for option in options().values() for at in spellings(option)})
_VALUES = ("", "1", "x", "-1", "[]", "{}", "*", "a:b", "p:5:1", "required", "1-4094", '{"a": 1}')


@st.composite
def _misspelt(draw: st.DrawFn) -> str:
    """A line in which a letter of a key is missing, doubled or in its neighbour's place."""
    section, key = draw(st.sampled_from(_PLACES))
    at = draw(st.integers(0, len(key) - 1))
    first, letter, rest = key[:at], key[at], key[at + 1 :]
    slips = (first + rest, first + letter * 2 + rest, first + rest[:1] + letter + rest[1:])
    wrong = draw(st.sampled_from((*slips, f"{key}s", key.replace("_", "-"), key)))
    home = draw(st.sampled_from((section, "pci", "default", "ovs", NO_SECTION)))
    return (f"[{home}]\n" if home else "") + f"{wrong} = {draw(st.sampled_from(_VALUES))}\n"


@example("[pci]\npassthrough_whitlist = {}\n")
@example("[pci]\npci_passthrough_whitlist = {}\n")
@example("[DEFAULT]\npci_aliass = {}\n")
@example("[pci]\nalias = []\n")
@example("[sriov_nic]\nresource_provider_hypervisors = ens9:h\n")
@settings(max_examples=300)
@given(_misspelt())
def test_what_a_start_refuses_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "refused.conf"
    path.write_text(text)
    examined = examine([path])
    try:
        load([path])
    except Error:
        assert examined.has(Severity.ERROR) or examined.unreadable


@pytest.mark.parametrize(
    "wrong",
    [
        '{"vendor_id": "8086", "product_id": "zzzz"}',
        '{"vendor_id": "8086", "physical_network": 5}',
        "7",
    ],
)
def test_of_several_entries_the_one_is_named_that_a_start_names(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "nova.conf"
    path.write_text(
        f'[pci]\ndevice_spec = [{{"vendor_id": "8086", "product_id": "1515"}}, {wrong}]\n'
    )
    with pytest.raises(Error) as refused:
        load([path])
    assert " device_spec: entry 2: " in str(refused.value)
    found = [one for one in examine([path]).findings if one.severity is Severity.ERROR]
    assert "entry 2: " in found[0].summary
    assert wrong == "7" or found[0].found == f"entry 2: {wrong}"
    path.write_text(f"[pci]\ndevice_spec = {wrong}\n")
    assert not any("entry" in one.summary + one.found for one in examine([path]).findings)


@pytest.mark.parametrize(
    ("section", "key", "fix"),
    [
        ("pci", "passthrough_whitlist", "[pci] device_spec = ..."),
        ("filter_scheduler", "enabled_filter", "[filter_scheduler] enabled_filters = ..."),
    ],
)
def test_a_slip_of_an_old_name_is_sent_to_todays(
    look: Looker, section: str, key: str, fix: str
) -> None:
    ((line, _, right),) = look.said(f"[{section}]\n{key} = {{{VF}}}\n", "key-misspelt")
    assert (line, right) == (2, fix)


@given(st.text())
def test_any_text_is_judged(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    directory = tmp_path_factory.getbasetemp()
    for name in ("judged.conf", "judged.yml"):
        (directory / name).write_bytes(text.encode(errors="surrogatepass"))
        examine([directory / name], EXAMPLE_HOST)


@given(st.text(alphabet='[]{}":,=\n \t#pciadevsl\u201c\u3000~\\', max_size=80))
def test_any_value_is_judged(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "value.conf"
    path.write_text(f"[pci]\ndevice_spec = {text}\nalias = {text}\n")
    examined = examine([path], EXAMPLE_HOST)
    list(meanings(examined.case))


def test_the_second_port_of_a_function_may_be_the_way_to_the_host(tmp_path: Path) -> None:
    """As of cards that have both their ports on one function (mlx4)."""
    (management,) = [i for i in EXAMPLE_HOST.facts.interfaces if i.is_management]
    first = replace(management, name="eno0", carries=(), is_management=False)
    facts = replace(EXAMPLE_HOST.facts, interfaces=(first, management))
    entry = '[pci]\ndevice_spec = {"vendor_id": "8086", "product_id": "1533"}\n'
    found = examine(write_files(entry, tmp_path), replace(EXAMPLE_HOST, facts=facts)).findings
    (said,) = [f.summary for f in found if f.id == "host-management-nic"]
    assert "(eno1), which carries the default route" in said


def test_services_have_values_of_their_own_in_files_of_their_own(look: Looker) -> None:
    text = (
        "[keystone_authtoken]\nusername = nova\n[DEFAULT]\nhost = a\n"
        "==> neutron.conf <==\n[keystone_authtoken]\nusername = neutron\n[DEFAULT]\nhost = b\n"
    )
    assert [line for line, _, _ in look.said(text, "key-contradicted")] == [4]


def test_anchors_do_not_make_a_value_grow_without_bound(look: Looker) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    whole = examine(write_files("==> a.yml <==\n" + "\n".join(rows) + "\n", look.directory))
    assert whole.unreadable == ()
    rows.append("nova_pci_alias: *a11")
    (reason,) = examine(
        write_files("==> a.yml <==\n" + "\n".join(rows) + "\n", look.directory)
    ).unreadable
    assert "larger than any list of devices" in reason


def test_what_follows_from_one_cause_is_told_once(look: Looker) -> None:
    spec = '{"vendor_id": "8086", "product_id": "10cb", "address": "0000:99:*.*"'
    text = (
        f'[pci]\ndevice_spec = {spec}, "physical_network": "physnet1"}}\n'
        'alias = {"vendor_id": "8086", "product_id": "10cb", "name": "a1"}\n'
        "[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n"
    )
    found = [one.id for one in look(text, on_host=True).findings]
    assert "host-spec-idle" in found
    assert not {"host-alias-nothing", "host-network-nothing"} & {*found}


def test_an_alias_that_no_host_satisfies_is_told_once(look: Looker) -> None:
    text = f'[pci]\ndevice_spec = {{{VF}, "physical_network": "physnet1"}}\n'
    alias = f'alias = {{"name": "a1", {VF}}}\nalias = {{"name": "a2", {VF}, "traits": "gpu"}}\n'
    found = [one.id for one in look(text + alias, on_host=True).findings]
    assert found.count("alias-unsatisfiable") + found.count("host-alias-nothing") == 2


@pytest.mark.parametrize(
    ("specs", "alias", "reason", "fix"),
    [
        (
            ('"vendor_id": "144d"', f'{VF}, "resource_class": "GPU"'),
            VF,
            "nova.conf:3 is counted as CUSTOM_GPU",
            '"resource_class": "GPU" in the alias',
        ),
        (
            ('"vendor_id": "144d", "product_id": "a804"', '"product_id": "10cb"'),
            VF,
            "nova.conf:3 lists product_id 10cb only",
            "a device_spec for what the alias asks",
        ),
        (
            ('"vendor_id": "144d"', f'{VF}, "physical_network": "p1", "live_migratable": "true"'),
            f'{VF}, "live_migratable": "true"',
            "nova.conf:3 serves ports on p1, and aliases only with a resource_class",
            "a resource_class in that entry, or an entry without physical_network",
        ),
        (
            ('"vendor_id": "144d"', VF),
            f'{VF}, "live_migratable": "true", "traits": "CUSTOM_FAST"',
            "nova.conf:3 lacks the trait CUSTOM_FAST and is not marked live_migratable true",
            '"traits": "CUSTOM_FAST" in that entry and "live_migratable": "true" in that entry',
        ),
        (
            ('"vendor_id": "144d"', VF),
            f'{VF}, "resource_class": "GPU"',
            "nova.conf:3 has no resource_class",
            '"resource_class": "CUSTOM_GPU" in that entry',
        ),
    ],
)
def test_an_alias_that_nothing_can_satisfy_is_told_by_the_entry_that_comes_nearest(
    look: Looker, specs: tuple[str, ...], alias: str, reason: str, fix: str
) -> None:
    entries = "".join(f"device_spec = {{{entry}}}\n" for entry in specs)
    text = f'[pci]\n{entries}alias = {{"name": "a1", {alias}}}\n'
    says = f"no device can ever do for a1: the entry in {reason}; no other entry comes nearer"
    assert look.said(text, "alias-unsatisfiable") == [(4, says, fix)]


def test_an_alias_of_what_is_there_and_not_listed_says_so_and_gives_the_entry(
    look: Looker,
) -> None:
    spec = '{"vendor_id": "8086", "product_id": "0a54"}'
    alias = f'{{"name": "a1", {VF}, "device_type": "type-VF"}}'
    text = f"[pci]\ndevice_spec = {spec}\nalias = {alias}\n"
    unlisted = "0000:3b:10.0, 0000:3b:10.2 are there, and no device_spec lists them"
    entry = f"device_spec = {{{VF}}}"
    ((_, says, fix),) = look.said(text, "alias-unsatisfiable", on_host=True)
    assert says.endswith(f"lists product_id 0a54 only; {unlisted}")
    assert fix == entry
    assert not look.said(text, "host-alias-nothing", on_host=True)
    elsewhere = text.replace(spec, '{"address": "0000:3b:00.1"}')
    ((_, says, fix),) = look.said(elsewhere, "host-alias-nothing", on_host=True)
    assert says == f"no device of the example host does for a1; {unlisted}"
    assert fix == entry


def test_an_alias_of_another_type_names_the_listed_device_or_one_of_its_type(look: Looker) -> None:
    alias = '{"name": "a1", "vendor_id": "8086", "product_id": "10c9", "device_type": "type-VF"}'
    text = f'[pci]\ndevice_spec = {{"address": "0000:3b:00.1"}}\nalias = {alias}\n'
    ((_, says, _),) = look.said(text, "host-alias-nothing", on_host=True)
    assert says.endswith("0000:3b:00.1 (8086:10c9, type-PF, ens1f1): it is type-PF, not type-VF")


def test_an_alias_that_lacks_a_tag_is_not_sent_to_devices_that_lack_it_too(look: Looker) -> None:
    alias = f'{{"name": "a1", {VF}, "live_migratable": "true"}}'
    text = f'[pci]\ndevice_spec = {{{VF}, "address": "*:*:10.0"}}\nalias = {alias}\n'
    ((_, says, fix),) = look.said(text, "alias-unsatisfiable", on_host=True)
    assert says.endswith("is not marked live_migratable true")
    assert fix == '"live_migratable": "true" in that entry'


def test_a_near_device_is_asked_for_where_no_node_is_known(look: Looker) -> None:
    alias = f'{{"name": "a1", {VF}, "numa_policy": "socket"}}'
    text = f"[pci]\ndevice_spec = {{{VF}}}\nalias = {alias}\n"
    ((line, says, fix),) = look.said(text, "host-alias-far", on_host=True)
    assert (line, fix) == (3, '"numa_policy": "legacy" or "preferred"')
    assert "of no NUMA node on the example host, so that numa_policy socket gives none" in says
    devices = tuple(replace(one, numa_node=0) for one in EXAMPLE_HOST.facts.devices)
    facts = replace(EXAMPLE_HOST.facts, devices=devices)
    found = examine(write_files(text, look.directory), replace(EXAMPLE_HOST, facts=facts))
    assert "host-alias-far" not in {one.id for one in found.findings}


def test_both_sides_are_told_at_the_lines_of_both(look: Looker) -> None:
    pf = '{"vendor_id": "8086", "product_id": "10c9", "address": "0000:3b:00.0"}'
    text = f"[pci]\ndevice_spec = {pf}\n==> b.conf <==\n[pci]\n\ndevice_spec = {{{VF}}}\n"
    found = look.said(text, "host-both-sides", on_host=True)
    assert [(line, says.partition(": ")[0]) for line, says, _ in found] == [
        (2, "together with b.conf:3"),
        (3, "together with nova.conf:2"),
    ]


def test_pinned_cpus_said_the_old_way_are_told_what_says_it_now(look: Looker) -> None:
    ((line, says, fix),) = look.said("[DEFAULT]\nvcpu_pin_set = 2-7\n", "key-old")
    assert line == 2
    assert says.startswith("[DEFAULT] vcpu_pin_set is an old name that is not read: without")
    assert fix.startswith("[compute] cpu_dedicated_set = CPUs")
    assert "cpu_shared_set" in fix


def test_a_filter_list_that_moved_is_told_where_it_is_now(look: Looker) -> None:
    ((line, says, fix),) = look.said("[DEFAULT]\nscheduler_available_filters = a\n", "key-old")
    assert line == 2
    assert "an old name of Nova's" in says
    assert fix == "[filter_scheduler] available_filters = ..., or remove the line"


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        ("ComputeFilter,PciPasthroughFilter", "ComputeFilter,PciPassthroughFilter"),
        ("PciPasthroughFilter,ComputeFilter", "PciPassthroughFilter,ComputeFilter"),
        ("ComputeFilter,Qqqqqq", "ComputeFilter,PciPassthroughFilter"),
    ],
)
def test_the_filters_that_are_advised_are_there(look: Looker, names: str, meant: str) -> None:
    alias = f'[pci]\nalias = {{"name": "a1", {VF}}}\n'
    text = f"{alias}[filter_scheduler]\nenabled_filters = {names}\n"
    ((_, _, fix),) = look.said(text, "filter-pci-missing")
    assert fix == f"enabled_filters = {meant}"


def test_a_template_that_was_not_rendered_is_told_as_one(look: Looker) -> None:
    (reason,) = look("==> custom.yml <==\nnova_pci_alias: {{ foo }}\n").unreadable
    assert "custom.yml:1: a key is not text" in reason
    assert 'stands in quotes, "{{ … }}"' in reason


def test_each_line_of_a_long_value_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the value at each of its lines, and 4,000 lines took half a minute."""
    looked: list[int] = []

    class Counted:
        def sub(self, by: str, text: str) -> str:
            looked.append(len(text))
            return texts.sub(by, text)

    texts = reading._TEXTS
    monkeypatch.setattr(reading, "_TEXTS", Counted())
    text = "[pci]\ndevice_spec = [\n" + f' {{{VF}, "in": "]"}},\n' * 500 + " ]\n[api]\n"
    (found,) = read_ini("x", text).assignments
    assert found.value.count("\n") == 501
    assert sum(looked) <= len(text)


@pytest.mark.parametrize(
    ("value", "is_open"),
    [("[", True), ("\n[{", True), ("[{}]", False), ('["["]', False), ("['{', '}'", True)],
)
def test_brackets_outside_of_texts_keep_a_value_open(value: str, is_open: bool) -> None:
    lines = value.replace("\n", "\n ")
    (found, *_) = read_ini("x", f"[pci]\ndevice_spec = {lines}\n'more'\n").assignments
    assert found.value.endswith("'more'") is is_open
