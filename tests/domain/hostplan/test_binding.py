"""What keeps other drivers from VFs that somebody else makes, in files of modprobe and udev."""

from __future__ import annotations

from dataclasses import replace

from domain.hostplan.hosts import host
from lanekeeper.domain.hostplan.action import RemoveFile, WriteFile
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.persistence import (
    HEAD,
    MODPROBE_FILE,
    MODULES_LOAD_FILE,
    UDEV_FILE,
)
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import Policy, parse_policy
from lanekeeper.domain.pci.address import PciAddress, vf_address

PF = PciAddress.parse("0000:21:00.0")
MATCH = 'ACTION=="add", SUBSYSTEM=="pci"'


def policy(*ranges: dict[str, object], **more: object) -> Policy:
    entry = {"pf": "0000:21:00.0", "vfs": 3, "ranges": [*ranges]}
    return parse_policy({"version": 1, "pfs": [entry], **more})


def texts(wanted: Policy, facts: HostFacts) -> dict[str, str]:
    found = plan(wanted, facts)
    assert found.refusals == ()
    return {s.do.path: s.do.text for s in found.steps if isinstance(s.do, WriteFile)}


def test_each_file_says_what_it_is_for() -> None:
    facts = replace(host(), autoprobe={PF: True}, vf_routing={PF: (128, 2)})
    found = texts(policy({"vfs": "1-2", "vf_driver": "vfio-pci"}, blacklist=["igbvf"]), facts)
    assert found[MODULES_LOAD_FILE] == f"{HEAD}vfio-pci\n"
    assert found[MODPROBE_FILE] == f"{HEAD}blacklist igbvf\nsoftdep igb pre: vfio-pci\n"
    assert found[UDEV_FILE] == (
        f'{HEAD}{MATCH}, KERNEL=="0000:21:00.0", ATTR{{sriov_drivers_autoprobe}}="0"\n'
        f'{MATCH}, KERNEL=="0000:21:10.2", ATTR{{driver_override}}="vfio-pci"\n'
        f'{MATCH}, KERNEL=="0000:21:10.4", ATTR{{driver_override}}="vfio-pci"\n'
    )


def test_a_card_that_does_not_say_where_its_vfs_will_be_has_no_rule_for_them() -> None:
    facts = replace(host(), autoprobe={PF: True})
    found = texts(policy({"vfs": 1, "vf_driver": "vfio-pci"}), facts)
    assert "driver_override" not in found[UDEV_FILE]


def test_vfs_that_drivers_may_take_have_no_rule() -> None:
    facts = replace(host(), autoprobe={PF: True}, vf_routing={PF: (128, 2)})
    assert UDEV_FILE not in texts(policy({"vfs": 1, "vf_driver": "auto"}), facts)


def test_a_module_that_the_kernel_lacks_is_not_asked_for_at_boot() -> None:
    facts = replace(host(), modules=frozenset({"igb"}), loadable=frozenset(), loadable_whole=True)
    assert MODULES_LOAD_FILE not in texts(policy(), facts)


def test_a_file_of_the_operators_own_is_neither_replaced_nor_removed() -> None:
    theirs = replace(host(), files={MODULES_LOAD_FILE: "vhost_net\n", UDEV_FILE: "# mine\n"})
    assert plan(parse_policy({"version": 1}), theirs).refusals == ()
    steps = plan(parse_policy({"version": 1}), theirs).steps
    assert not {MODULES_LOAD_FILE, UDEV_FILE} & {getattr(s.do, "path", "") for s in steps}
    wanted = parse_policy({"version": 1, "pfs": [{"pf": "ens1", "vfs": 2}]})
    found = plan(wanted, theirs)
    assert found.steps == ()
    (refusal,) = [each for each in found.refusals if each.subject == f"/{MODULES_LOAD_FILE}"]
    assert refusal.code == "path-taken"
    assert "somebody else's" in refusal.reason
    assert "begins with vhost_net" in refusal.fix


def test_what_no_policy_wants_any_more_goes_and_comes_back() -> None:
    files = dict.fromkeys((MODPROBE_FILE, MODULES_LOAD_FILE, UDEV_FILE), HEAD + "old\n")
    found = plan(parse_policy({"version": 1}), replace(host(), files=files))
    removed = [s for s in found.steps if isinstance(s.do, RemoveFile)]
    assert [s.do for s in removed] == [RemoveFile(path) for path in files]
    assert [s.undo for s in removed] == [(WriteFile(path, HEAD + "old\n"),) for path in files]


def test_without_persist_files_of_the_boot_stay_as_they_are() -> None:
    files = dict.fromkeys((MODULES_LOAD_FILE, UDEV_FILE), "old\n")
    found = plan(parse_policy({"version": 1, "persist": False}), replace(host(), files=files))
    assert found.is_empty


def test_no_vf_lies_beyond_the_last_bus() -> None:
    last = PciAddress.parse("0000:ff:00.0")
    assert vf_address(last, 128, 2, 63) == PciAddress.parse("0000:ff:1f.6")
    assert vf_address(last, 128, 2, 64) is None
