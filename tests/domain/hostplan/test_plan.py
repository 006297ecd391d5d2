from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hostplan.hosts import OTHER_PF, PF, after, host, pf_at, vfs_of
from lanekeeper.domain.hostplan.action import (
    AddPort,
    BindVf,
    LoadModule,
    MakeDirectory,
    MovePort,
    SetAutoprobe,
    SetLink,
    SetVfCount,
    UpdateBootLoader,
    WriteFile,
)
from lanekeeper.domain.hostplan.boot_loader import argument_holds
from lanekeeper.domain.hostplan.observed import HostFacts, Interface
from lanekeeper.domain.hostplan.offload import Offload, Ovs
from lanekeeper.domain.hostplan.persistence import (
    GRUB_FILE,
    NOTE,
    POLICY_FILE,
    UNIT_FILE,
    UNIT_LINK,
    grub_lines,
)
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.kernel import ModuleOptions
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy, parse_policy
from lanekeeper.domain.hostplan.policy.selector import DeviceSelector
from lanekeeper.domain.hostplan.step import Impact, Plan

DOWN = (
    Interface(name="ens1", device=PF, is_up=False),
    Interface(name="ens2", device=OTHER_PF, is_up=True),
)


def wants(vfs: int = 7, selector: DeviceSelector | None = None, **changed: object) -> Policy:
    entry = PfPolicy(path="pfs[0]", selector=selector or DeviceSelector(address=PF), vfs=vfs)
    for name in [n for n in changed if n in ("vf_driver", "link_up")]:
        entry = replace(entry, **{name: changed.pop(name)})  # type: ignore[arg-type]
    policy = Policy(pfs=(entry,), persist=False)
    return replace(policy, **changed)  # type: ignore[arg-type]


def with_vfs(*drivers: str | None, **changed: object) -> HostFacts:
    pf = pf_at(PF, "ens1", num_vfs=len(drivers))
    devices = (pf, *vfs_of(pf, list(drivers)), pf_at(OTHER_PF, "ens2"))
    return host(devices=devices, autoprobe={PF: False, OTHER_PF: True}, **changed)


def done(found: Plan) -> list[str]:
    return [str(step.do) for step in found.steps]


def test_vfs_from_nothing_in_the_order_that_the_kernel_wants() -> None:
    found = plan(wants(), host(interfaces=DOWN))
    assert [step.do for step in found.steps] == [
        SetAutoprobe(str(PF), enabled=False),
        SetLink(str(PF), up=True),
        SetVfCount(str(PF), 7),
    ]
    assert [step.undo for step in found.steps] == [
        (SetAutoprobe(str(PF), enabled=True),),
        (SetLink(str(PF), up=False),),
        (SetVfCount(str(PF), 0),),
    ]


def test_a_host_that_is_so_already_needs_nothing() -> None:
    assert plan(wants(), with_vfs(*[None] * 7)).is_empty


def test_another_number_goes_through_none_and_back_with_drivers() -> None:
    found = plan(wants(3), with_vfs("igbvf", None))
    assert [step.do for step in found.steps] == [
        BindVf(str(PF), 0, None),
        SetVfCount(str(PF), 0),
        SetVfCount(str(PF), 3),
    ]
    assert found.steps[0].undo == (BindVf(str(PF), 0, "igbvf"),)
    quiet = SetAutoprobe(str(PF), enabled=False)  # else a driver takes the VFs that come back
    assert found.steps[1].undo == (quiet, SetVfCount(str(PF), 2), quiet)
    assert found.steps[1].impact is Impact.VFS_GONE


def test_a_named_driver_is_given_to_new_and_to_old_vfs() -> None:
    assert done(plan(wants(1, vf_driver="igbvf"), host()))[-1].endswith("to igbvf")
    found = plan(wants(2, vf_driver="igbvf"), with_vfs("igbvf", None))
    assert [step.do for step in found.steps] == [BindVf(str(PF), 1, "igbvf")]
    assert found.steps[0].undo == (BindVf(str(PF), 1, None),)


def test_a_vf_that_may_be_in_a_guest_is_no_difference() -> None:
    assert plan(wants(2, vf_driver="igbvf"), with_vfs("vfio-pci", "igbvf")).is_empty
    assert plan(wants(2), with_vfs("vfio-pci", None)).is_empty


def test_auto_leaves_drivers_to_the_kernel() -> None:
    found = plan(wants(2, vf_driver="auto"), with_vfs("igbvf", None))
    assert [step.do for step in found.steps] == [SetAutoprobe(str(PF), enabled=True)]


def test_link_leave_leaves_it() -> None:
    assert "interface" not in str(done(plan(wants(link_up=None), host(interfaces=DOWN))))


def test_vfio_is_loaded_where_it_can_be() -> None:
    without = host(modules=frozenset(), loadable=frozenset({"vfio_pci"}))
    assert plan(wants(), without).steps[0].do == LoadModule("vfio-pci")
    assert LoadModule("vfio-pci") not in [s.do for s in plan(wants(0), without).steps]


@pytest.mark.parametrize(
    ("policy", "facts", "code", "reason", "fix"),
    [
        (wants(8), host(), "vfs-above-total", "8 VFs asked", "at most vfs: 7"),
        (
            wants(3),
            with_vfs("vfio-pci", None),
            "vfs-in-use",
            "may be in guests: 0000:21:10.0",
            "stop those guests",
        ),
        (
            wants(),
            host(devices=(pf_at(PF, "ens1", driver=None),)),
            "pf-without-driver",
            "no driver",
            "load the driver",
        ),
        (
            Policy(kernel_arguments=("iommu=pt",), persist=False),
            host(cmdline=(), configured_cmdline=None),
            "boot-loader-unknown",
            "looked at /etc/default/grub",
            "add iommu=pt",
        ),
    ],
)
def test_what_cannot_be_is_refused_whole(
    policy: Policy, facts: HostFacts, code: str, reason: str, fix: str
) -> None:
    found = plan(policy, facts)
    assert [refusal.code for refusal in found.refusals] == [code]
    assert reason in found.refusals[0].reason
    assert fix in found.refusals[0].fix
    assert found.steps == ()
    assert not found.is_empty


def test_two_entries_for_one_pf_are_refused_naming_both() -> None:
    entries = (
        PfPolicy(path="pfs[0]", selector=DeviceSelector(address=PF), vfs=1),
        PfPolicy(path="pfs[1]", selector=DeviceSelector(ids=(0x8086, 0x10C9)), vfs=2),
    )
    (refusal,) = plan(Policy(pfs=entries), host()).refusals
    assert refusal.reason == "0000:21:00.0 is chosen by pfs[0] and by pfs[1]"


MANAGEMENT = (
    Interface(name="ens1", device=PF, is_up=True, carries=("10.0.0.0/8",), is_management=True),
)


def test_the_management_nic_is_refused_without_an_explicit_word() -> None:
    facts = host(interfaces=MANAGEMENT)
    (refusal,) = plan(wants(), facts).refusals
    assert (refusal.code, refusal.reason) == ("management-nic", "ens1 carries 10.0.0.0/8")
    assert plan(wants(manage_management=True), facts).steps
    assert plan(wants(selector=DeviceSelector(address=OTHER_PF)), facts).steps


BRIDGED = parse_policy(
    {"version": 1, "persist": False, "pfs": [{"pf": str(PF), "vfs": 0, "ovs_bridge": "br-vf"}]}
)


@pytest.mark.parametrize(
    ("bridges", "kind"),
    [({}, AddPort), ({"br-vf": ()}, AddPort), ({"br-ex": ("ens1",), "br-vf": ()}, MovePort)],
)
def test_the_management_nic_goes_to_no_bridge_without_an_explicit_word(
    bridges: dict[str, tuple[str, ...]], kind: type
) -> None:
    offload = Offload(modes={PF: "switchdev"}, ovs=Ovs(bridges=bridges))
    facts = host(interfaces=MANAGEMENT, offload=offload, autoprobe={PF: False})
    found = plan(BRIDGED, facts)
    assert [(r.code, r.subject) for r in found.refusals] == [
        ("management-nic", "pfs[0] (0000:21:00.0)")
    ]
    assert not found.steps
    allowed = plan(replace(BRIDGED, manage_management=True), facts)
    assert isinstance(allowed.steps[-1].do, kind)
    assert plan(BRIDGED, replace(facts, interfaces=())).steps == allowed.steps


def test_a_vf_that_carries_the_way_to_the_host_does_not_go_with_the_others() -> None:
    (vf, _) = with_vfs("igbvf", None).vfs_of(PF)
    way = replace(MANAGEMENT[0], name="ens1v0", device=vf.address)
    (refusal,) = plan(wants(3), with_vfs("igbvf", None, interfaces=(way,))).refusals
    assert (refusal.code, refusal.subject) == ("management-nic", "pfs[0] (0000:21:00.0)")
    assert refusal.reason == "ens1v0 carries 10.0.0.0/8"


def test_another_vf_than_that_of_the_way_to_the_host_is_changed() -> None:
    facts = with_vfs("igbvf", None)
    way = replace(MANAGEMENT[0], device=facts.vfs_of(PF)[0].address)
    found = plan(wants(2, vf_driver="igbvf"), replace(facts, interfaces=(way,)))
    assert [step.do for step in found.steps] == [BindVf(str(PF), 1, "igbvf")]


SECOND_PORT = (
    Interface(name="ens1", device=PF, is_up=True),
    replace(MANAGEMENT[0], name="ens1d1"),
)


def test_management_on_the_second_port_of_one_function_is_refused_too() -> None:
    """As of cards that have both their ports on one function (mlx4)."""
    facts = host(interfaces=SECOND_PORT)
    (refusal,) = plan(wants(), facts).refusals
    assert (refusal.code, refusal.reason) == ("management-nic", "ens1d1 carries 10.0.0.0/8")
    (step,) = [s for s in plan(wants(manage_management=True), facts).steps if s.affects]
    assert step.affects == ("ens1d1 carries 10.0.0.0/8",)


@pytest.mark.parametrize("own_is_up", [True, False])
def test_the_link_is_that_of_the_pf_and_not_of_a_representor(own_is_up: bool) -> None:
    """Representors hang below the PF as well, and may come before it by name."""
    ports = (
        Interface(name="ens1", device=PF, is_up=own_is_up),
        Interface(name="a0", device=PF, is_up=not own_is_up),
        Interface(name="zz", device=PF, is_up=not own_is_up),
    )
    facts = host(interfaces=ports[1:] + ports[:1], representors={(PF, 0): "a0", (PF, 1): "zz"})
    pulls_up = SetLink(str(PF), up=True) in [step.do for step in plan(wants(), facts).steps]
    assert pulls_up is not own_is_up


def test_a_management_nic_that_is_so_already_is_no_refusal() -> None:
    assert plan(wants(), with_vfs(*[None] * 7, interfaces=MANAGEMENT)).is_empty


AT_BOOT = (
    "make directory /etc/modules-load.d",
    "write /etc/modules-load.d/lanekeeper.conf",
    "make directory /etc/udev",
    "make directory /etc/udev/rules.d",
    "write /etc/udev/rules.d/60-lanekeeper.rules",
)


def test_the_policy_is_kept_and_restored_at_boot() -> None:
    found = plan(wants(persist=True, text="version: 1\n"), host(program="/opt/lk/bin/lanekeeper"))
    paths = [str(step.do) for step in found.steps[2:]]
    assert paths == [
        *AT_BOOT,
        "make directory /etc/lanekeeper",
        f"write /{POLICY_FILE}",
        f"write /{UNIT_FILE}",
        "make directory /etc/systemd/system/multi-user.target.wants",
        f"link /{UNIT_LINK} to ../lanekeeper-host.service",
    ]
    unit = next(s.do for s in found.steps if isinstance(s.do, WriteFile) and "Exec" in s.do.text)
    called = f"/opt/lk/bin/lanekeeper host apply --policy /{POLICY_FILE}"
    assert f"ExecStart={called} --confirm-within 0 --leave-refused\n" in unit.text


def test_a_directory_that_two_files_need_is_made_once() -> None:
    bare = frozenset({"etc"})
    steps = plan(wants(persist=True), host(has_systemd=True, directories=bare)).steps
    made = [step.do.path for step in steps if isinstance(step.do, MakeDirectory)]
    assert "etc/systemd/system" in made
    assert len(made) == len(set(made))


def test_without_systemd_only_the_policy_is_kept() -> None:
    found = plan(wants(persist=True), host(has_systemd=False))
    assert done(found)[2:] == [*AT_BOOT, "make directory /etc/lanekeeper", f"write /{POLICY_FILE}"]


def test_kernel_arguments_go_behind_all_others_and_wait_for_a_reboot() -> None:
    policy = Policy(kernel_arguments=("intel_iommu=on", "hugepages=8"), persist=False)
    found = plan(policy, host(configured_cmdline=("intel_iommu=off",), cmdline=("quiet",)))
    write, update = found.steps[-2:]
    assert isinstance(write.do, WriteFile)
    assert 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT intel_iommu=on hug' in (
        write.do.text
    )
    assert write.impact is Impact.REBOOT
    assert update.do == UpdateBootLoader()
    assert update.undo == (*write.undo, UpdateBootLoader())  # the menu is made after the file
    assert len(found.pending) == 2


def test_arguments_that_an_earlier_plan_wrote_are_kept() -> None:
    text = NOTE + grub_lines(("iommu=pt",))
    facts = host(files={GRUB_FILE: text}, configured_cmdline=("iommu=pt",))
    found = plan(Policy(kernel_arguments=("hugepages=8", "iommu=pt"), persist=False), facts)
    write = next(step for step in found.steps if isinstance(step.do, WriteFile))
    assert isinstance(write.do, WriteFile)
    assert "iommu=pt hugepages=8" in write.do.text
    assert write.undo == (WriteFile(GRUB_FILE, text),)


def test_running_arguments_are_enough_where_no_boot_loader_is_known() -> None:
    policy = Policy(kernel_arguments=("iommu=pt",), persist=False)
    assert plan(policy, host(configured_cmdline=None)).is_empty


@pytest.mark.parametrize(
    ("wanted", "arguments", "holds"),
    [
        ("iommu=pt", ("iommu=pt",), True),
        ("iommu=pt", ("iommu=pt", "iommu=off"), False),
        ("iommu=pt", ("iommu=off", "iommu=pt"), True),
        ("iommu=pt", (), False),
        ("console=tty0", ("console=tty0", "console=ttyS0"), True),
        ("quiet", ("quiet",), True),
    ],
)
def test_the_last_word_on_an_argument_counts(
    wanted: str, arguments: tuple[str, ...], holds: bool
) -> None:
    assert argument_holds(wanted, arguments) is holds


drivers = st.lists(st.sampled_from([None, "igbvf"]), max_size=7)
entries = st.builds(
    PfPolicy,
    path=st.just("pfs[0]"),
    selector=st.just(DeviceSelector(address=PF)),
    vfs=st.integers(0, 7),
    vf_driver=st.sampled_from(["none", "auto", "igbvf"]),
    link_up=st.sampled_from([True, None]),
)
arguments = st.lists(st.sampled_from(["iommu=pt", "iommu=off", "quiet", "hugepages=8"]), max_size=3)


@st.composite
def hosts(draw: st.DrawFn) -> HostFacts:
    pf = pf_at(PF, "ens1", num_vfs=len(now := draw(drivers)))
    return host(
        devices=(pf, *vfs_of(pf, now)),
        interfaces=(Interface(name="ens1", device=PF, is_up=draw(st.booleans())),),
        autoprobe={PF: draw(st.booleans())},
        cmdline=tuple(draw(arguments)),
        configured_cmdline=draw(st.none() | arguments.map(tuple)),
        directories=frozenset({"etc"} | draw(st.sampled_from([set(), {"etc/default"}]))),
        has_systemd=draw(st.booleans()),
        modules=draw(st.sampled_from([frozenset(), frozenset({"vfio_pci"})])),
        loadable=frozenset({"vfio_pci"}),
    )


policies = st.builds(
    Policy,
    pfs=st.lists(entries, max_size=1).map(tuple),
    kernel_arguments=st.sampled_from([(), ("iommu=pt",), ("hugepages=8", "quiet")]),
    persist=st.booleans(),
    text=st.sampled_from(["version: 1\n", ""]),
)


@given(policies, hosts())
def test_after_a_plan_the_plan_is_empty_and_undone_nothing_has_changed(
    policy: Policy, before: HostFacts
) -> None:
    found = plan(policy, before)
    now = before
    for step in found.steps:
        assert after(after(now, step.do), step.do) == after(now, step.do)
        now = after(now, step.do)
    assert found.refusals or plan(policy, now).is_empty
    for step in reversed(found.steps):
        for action in step.undo:
            now = after(now, action)
    restored = replace(now, configured_cmdline=before.configured_cmdline, modules=before.modules)
    assert restored == before


@given(policies, hosts())
def test_a_plan_is_a_function_of_what_it_is_given(policy: Policy, facts: HostFacts) -> None:
    assert plan(policy, facts) == plan(policy, facts)


@pytest.mark.parametrize(
    "entries",
    [
        [
            {"pf": "ens1", "vfs": 3, "mac": "52:54:00:aa:ff:fe"},
            {"pf": "ens2", "vfs": 3, "mac": "52:54:00:aa:ff:ff"},
        ],
        [
            {
                "pf": "ens1",
                "vfs": 4,
                "mac": "02:00:00:00:00:01",
                "ranges": [{"vfs": "2-3", "mac": "02:00:00:00:00:02"}],
            }
        ],
    ],
)
def test_one_address_for_two_vfs_is_refused(entries: list[dict[str, object]]) -> None:
    made = plan(parse_policy({"version": 1, "pfs": entries}), host())
    twice = [one for one in made.refusals if one.code == "mac-twice"]
    assert len(twice) == 1
    assert "would be the address of VF" in twice[0].reason
    assert made.steps == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"kernel_arguments": ("vfio-pci.ids=10de:2236,8086:10c9",)}, "gives vfio-pci every 8086"),
        (
            {"module_options": (ModuleOptions("vfio-pci", ("ids=8086:10C9:8086:a03c",)),)},
            "ids=8086:10C9:8086:a03c gives vfio-pci",
        ),
        ({"blacklist": ("igb",)}, "igb would not load at boot"),
        ({"kernel_arguments": ("module_blacklist=nouveau,igb",)}, "keeps igb from loading"),
    ],
)
def test_words_to_the_kernel_may_not_take_the_management_nic(
    words: dict[str, Any], said: str
) -> None:
    facts = host(interfaces=MANAGEMENT)
    (refusal,) = plan(Policy(**words), facts).refusals
    assert (refusal.code, said in refusal.reason) == ("management-nic", True)
    assert "0000:21:00.0 with it: ens1 carries 10.0.0.0/8" in refusal.reason
    allowed = plan(Policy(manage_management=True, **words), facts)
    assert "management-nic" not in {one.code for one in allowed.refusals}
    assert not plan(Policy(**words), host()).refusals
