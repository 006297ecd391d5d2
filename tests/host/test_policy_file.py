import json
from pathlib import Path

import pytest

from host.planted import SAMPLE_POLICY, simulated
from lanekeeper.domain.errors import Invalid
from lanekeeper.host.policy_file import PolicyFileInvalid, load_policy, read_policy
from lanekeeper.main import main

GOOD = 'version: 1\npfs:\n  - pf: "0000:21:00.0"\n    vfs: 7\n'


def test_the_sample_policy_is_the_demos() -> None:
    policy = read_policy(SAMPLE_POLICY)
    found = [(str(e.selector), e.vfs, str(e.purpose), e.vf_driver) for e in policy.pfs]
    assert found == [
        ("address 0000:21:00.0", 7, "physical_network physnet1", "none"),
        ("address 0000:41:00.0", 7, "alias a1", "none"),
    ]
    assert policy.kernel_arguments == ("intel_iommu=on", "iommu=pt")
    assert policy.persist
    assert not policy.manage_management
    assert policy.text == SAMPLE_POLICY.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"p:1: is nothing, not a mapping"),
        ("[]", r"p:1: is a list, not a mapping"),
        ("pfs: []", r"p:1: version: is None"),
        ("version: 2", r"p:1: version: is 2"),
        ("version: true", r"p:1: version: is True"),
        (GOOD + "pfss: []", r"p:5: pfss: unknown key"),
        (GOOD + "    vf: 3", r"p:5: pfs\[0\].vf: unknown key"),
        (GOOD + "    vfs: 3", r"p:5:5: pfs\[0\].vfs: stands twice"),
        (GOOD.replace("7", "seven"), r"p:4: pfs\[0\].vfs: is 'seven'"),
        (GOOD.replace("7", "-1"), r"p:4: pfs\[0\].vfs: is -1"),
        (GOOD.replace("7", "7.0"), r"p:4: pfs\[0\].vfs: is 7.0"),
        (GOOD.replace("7", "70000"), r"p:4: pfs\[0\].vfs: is 70000"),
        (GOOD.replace("    vfs: 7\n", ""), r"p:3: pfs\[0\]: vfs is missing"),
        (GOOD + "  - vfs: 7", r"p:5: pfs\[1\]: pf is missing"),
        (GOOD.replace('"0000:21:00.0"', "21:00.0"), r"p:3: pfs\[0\].pf: is the number"),
        (GOOD.replace('"0000:21:00.0"', "a/b"), r"p:3: pfs\[0\].pf: is 'a/b'"),
        (GOOD.replace('"0000:21:00.0"', "{}"), r"p:3: pfs\[0\].pf: chooses nothing"),
        (GOOD.replace('"0000:21:00.0"', "{nic: x}"), r"p:3: pfs\[0\].pf.nic: unknown key"),
        (GOOD.replace('"0000:21:00.0"', "{ids: 10c9}"), r"p:3: .*ids: '10c9' is not vendor"),
        (GOOD.replace('"0000:21:00.0"', "{index: -1}"), r"p:3: .*index: is -1"),
        (GOOD.replace('"0000:21:00.0"', "{address: 5}"), r"p:3: .*address: 5 is not a PCI"),
        (GOOD + "    alias: a1\n    physical_network: p", r"p:5: .*alias: stands beside"),
        (GOOD + "    alias: 'a 1'", r"p:5: pfs\[0\].alias: is 'a 1'"),
        (GOOD + "    vf_driver: ../x", r"p:5: pfs\[0\].vf_driver"),
        (GOOD + "    link: down", r"p:5: pfs\[0\].link: is 'down'"),
        (GOOD + "persist: maybe", r"p:5: persist: is 'maybe'"),
        (GOOD + "kernel_arguments: iommu=pt", r"p:5: kernel_arguments: is .* not a list"),
        (GOOD + "kernel_arguments: ['a b']", r"p:5: kernel_arguments\[0\]: is 'a b'"),
        (
            GOOD + "kernel_arguments: [intel_iommu=pt]",
            r"p:5: kernel_arguments\[0\]: intel_iommu=pt does",
        ),
        (GOOD + "kernel_arguments: ['a\"; x']", r"p:5: kernel_arguments\[0\]"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_field(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        load_policy(text, "p")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (GOOD + "pfss: []", "known here: version, pfs, devices, kernel_arguments"),
        (GOOD.replace('"0000:21:00.0"', "21:00.0"), 'quote it: pf: "0000:21:00.0"'),
        ("version: 2", "version: 1"),
        (GOOD + "kernel_arguments: [intel_iommu=pt]", "intel_iommu=on and iommu=pt"),
    ],
)
def test_the_hint_says_what_would_be_right(text: str, hint: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_policy(text, "p")
    assert hint in caught.value.hint


def test_a_key_that_stands_twice_hides_nothing_else() -> None:
    text = GOOD + "    vfs: {what: 3, what: 4}\nkernel_arguments: [intel_iommu=pt]\npersst: true\n"
    with pytest.raises(Invalid) as caught:
        load_policy(text, "p")
    told = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in told] == ["5", "5", "6", "7"]
    assert "pfs[0].vfs: stands twice" in told[0]
    assert "pfs[0].vfs.what: stands twice" in told[1]
    assert "persst: unknown key" in told[3]
    with pytest.raises(Invalid, match=r"(?s)p:5:5: pfs\[0\]\.vfs: stands twice.*p:6:7: .*alias"):
        load_policy(GOOD + "    vfs: 3\ntags: *a\n", "p")


def test_files_that_cannot_be_policies(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read: No such file"):
        read_policy(tmp_path / "absent")
    with pytest.raises(Invalid, match="cannot be read: Is a directory"):
        read_policy(tmp_path)


@pytest.mark.parametrize(
    ("written", "where", "quoted"),
    [
        ("[isolcpus=1,2]", "p:5:31: the comma ends the value isolcpus=1, and 2", "isolcpus=1,2"),
        (
            "[iommu=pt, isolcpus=managed_irq,domain,2-5, quiet]",
            "p:5:51: the comma ends the value isolcpus=managed_irq, and domain",
            "isolcpus=managed_irq,domain,2-5",
        ),
        ("[pci=realloc,assign-busses]", "p:5:32: the comma ends", "pci=realloc,assign-busses"),
        ("[isolcpus=1, 2]", r"p:5: kernel_arguments\[1\]: is 2, which is no", "isolcpus=1,2"),
        ("[isolcpus=1, 2-3]", r"p:5: kernel_arguments\[1\]: is '2-3', which", "isolcpus=1,2-3"),
    ],
)
def test_an_argument_that_yaml_splits_is_to_be_quoted(
    written: str, where: str, quoted: str
) -> None:
    with pytest.raises(Invalid, match=where) as caught:
        load_policy(f"{GOOD}kernel_arguments: {written}\n", "p")
    assert f'quote it: "{quoted}"' in caught.value.hint
    kept = load_policy(f'{GOOD}kernel_arguments: ["{quoted}"]\n', "p").kernel_arguments
    assert kept == (quoted,)


def test_arguments_without_blanks_between_them_are_not_parts_of_one() -> None:
    kept = load_policy(f"{GOOD}kernel_arguments: [intel_iommu=on,iommu=pt,hugepages=4]\n", "p")
    assert kept.kernel_arguments == ("intel_iommu=on", "iommu=pt", "hugepages=4")


MUCH = """\
version: 2
pfs:
  - pf: "0000:21:00.0"
    vfs: seven
    link: down
    trust: maybe
    colour: red
  - vfs: 2
    ranges:
      - {vfs: "5-6", mac: nonsense}
      - {vfs: 0, spoofchk: 1}
devices:
  - {device: {netdev: ens1}, allow: [everything], drivers: x}
kernel_arguments: [intel_iommu=pt, "a b", quiet, quiet]
huge_pages:
  - {node: -1, size: 3M, pages: 1}
  - {node: 0, size: 2M}
module_options:
  igb: [max_vfs=7, "a b"]
  "no module": [x=1]
blacklist: ["a b", igbvf]
ovs: {hw_offload: 1, max_idle_ms: x}
boot: {entry: all}
persist: 1
"""
PLACES = """\
1 version
4 pfs[0].vfs
5 pfs[0].link
6 pfs[0].trust
7 pfs[0].colour
8 pfs[1]
10 pfs[1].ranges[0].vfs
10 pfs[1].ranges[0].mac
11 pfs[1].ranges[1].spoofchk
13 devices[0].drivers
13 devices[0].allow[0]
13 devices[0].device
14 kernel_arguments[0]
14 kernel_arguments[1]
14 kernel_arguments[3]
16 huge_pages[0].node
16 huge_pages[0].size
17 huge_pages[1]
19 module_options.igb[0]
19 module_options.igb[1]
20 module_options.no module
21 blacklist[0]
22 ovs.hw_offload
22 ovs.max_idle_ms
23 boot.entry
24 persist
"""


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_lines() -> None:
    with pytest.raises(PolicyFileInvalid) as caught:
        load_policy(MUCH, "p")
    told = [(part.line, part.path) for part in caught.value.parts]
    wanted = [line.split(maxsplit=1) for line in PLACES.splitlines()]
    assert sorted(told) == sorted((int(line), path) for line, path in wanted)
    assert [line for line, _ in told] == sorted(line for line, _ in told)
    assert all(part.hint for part in caught.value.parts)


@pytest.mark.parametrize("verb", ["plan", "apply", "check"])
def test_it_is_told_on_stderr_and_as_json(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path / "host")
    file = tmp_path / "p.yaml"
    file.write_text(GOOD.replace("7", "seven") + "persist: 1\n")
    call = ["host", verb, "--simulate", str(tmp_path / "host"), "--policy", str(file)]
    assert main(call) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert [line[:5] for line in said.err.splitlines()] == ["error", "hint:"] * 2
    assert main([*call, "--json"]) == 2
    told = json.loads(capsys.readouterr().out)["errors"]
    assert [(one["line"], one["path"]) for one in told] == [(4, "pfs[0].vfs"), (5, "persist")]
    assert told[0]["file"] == str(file)
    assert told[0]["hint"] == "a whole number from 0 to 65535"


@pytest.mark.parametrize("argument", ["intel_iommu=off", "amd_iommu=off", "iommu=off"])
@pytest.mark.parametrize(
    ("user", "place", "line"),
    [
        (f"{GOOD}    vf_driver: vfio-pci\n", "pfs[0].vf_driver", 5),
        (
            f"{GOOD}    ranges:\n      - {{vfs: 0, vf_driver: vfio-pci}}\n",
            "pfs[0].ranges[0].vf_driver",
            6,
        ),
        (
            f"{GOOD}    live_migration: true\n",
            "pfs[0].live_migration",
            5,
        ),
        ('version: 1\ndevices: \n  - device: "0000:41:00.0"\n', "devices[0].driver", 3),
    ],
)
def test_an_iommu_that_is_off_contradicts_vfio(
    argument: str, user: str, place: str, line: int
) -> None:
    with pytest.raises(PolicyFileInvalid) as caught:
        load_policy(f"{user}kernel_arguments: [{argument}]\n", "p")
    assert f"kernel_arguments[0]: {argument} stands beside {place}, which is " in str(caught.value)
    assert f"({place} is in line {line})" in str(caught.value)
    assert caught.value.path == "kernel_arguments[0]"
    assert load_policy(f"{GOOD}    vf_driver: auto\nkernel_arguments: [{argument}]\n", "p")
