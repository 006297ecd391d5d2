from pathlib import Path

import pytest

from host.planted import SAMPLE_POLICY
from lanekeeper.domain.errors import Invalid
from lanekeeper.host.policy_file import load_policy, read_policy

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
