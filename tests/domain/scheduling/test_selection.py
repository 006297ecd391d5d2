from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.scheduling.hosts import STOCKS, host, need, server, vf
from lanekeeper.config.filter_name import FILTERS as FILTERS_OF_NOVA
from lanekeeper.config.filter_name import IDLE_FILTERS
from lanekeeper.domain.compute.aggregate import DEVICES_ONLY_KEY
from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.network.promise import Promise
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.scheduling.filter import claimable
from lanekeeper.domain.scheduling.filter_choice import OF_NOVA, filters_of
from lanekeeper.domain.scheduling.filter_settings import FilterSettings
from lanekeeper.domain.scheduling.fleet import Codes, Fleet
from lanekeeper.domain.scheduling.host import (
    DeviceNeed,
    GroupRequest,
    HostAggregate,
    HostDevice,
    HostView,
    Platform,
    ServerRequest,
    Standing,
    Stock,
)
from lanekeeper.domain.scheduling.multiplier import Multipliers
from lanekeeper.domain.scheduling.selection import NO_HOST, first_verdict, select_hosts
from lanekeeper.domain.scheduling.weight import devices_weight
from lanekeeper.domain.topology.affinity import RootPolicy
from lanekeeper.domain.topology.cell import MEMORY, VCPUS, Amount, HostCell
from lanekeeper.domain.topology.guest import CpuPolicy, GuestCell, GuestTopology

SETTINGS = FilterSettings(
    servers_max=3,
    builds_max=2,
    builds={"h1": 2, "h2": 1},
    isolated_hosts=frozenset({"h1"}),
    isolated_images=frozenset({"i1"}),
)
PORT = need("port p", physical_network="physnet1")
NETWORK_VF = vf("a", tags={"physical_network": "physnet1"})


PINNED = GuestTopology(
    cells=(GuestCell(frozenset(), frozenset({0}), 256),), cpu_policy=CpuPolicy.DEDICATED
)
FLOATING = GuestTopology(cells=(GuestCell(frozenset({0}), frozenset(), 256),))


def under(name: str, root: str | None, node: int | None = None) -> HostDevice:
    """A VF below a root port, on a node."""
    return replace(vf(name, f"pf of {name}"), pcie_root=root, numa_node=node)


@pytest.mark.parametrize(
    ("request_", "view", "code", "words"),
    [
        (server(host="h2"), host(), "forced_host", "not h2"),
        (server(zone="west"), host(zone="east"), "availability_zone", "in zone east, not west"),
        (server(), host(enabled=False, disabled_reason="dust"), "host_enabled", "disabled: dust"),
        (server(), host(alive=False), "host_alive", "has not been heard of"),
        (server(), host(frozen_reason="history lost"), "host_alive", "frozen: history lost"),
        (server(vcpus=9), host(), "vcpu", "8 of 8 VCPUs free, 9 needed"),
        (server(ram_mib=5000), host(), "ram", "4096 of 4096 MiB"),
        (server(disk_gib=101), host(), "disk", "100 of 100 GiB"),
        (server(), host(stocks={}), "vcpu", "has 0 of 0"),
        (server(), host(stocks={"VCPU": Stock(1, 4)}), "vcpu", "has 0 of 1"),
        (server(PORT), host("h1", NETWORK_VF), "physical_network", "does not reach physnet1"),
        (server(need("a1")), host(), "devices", "a1 needs 1"),
        (server(topology=PINNED), host(), "pcpu", "0 of 0 CPUs for pinning free, 1 needed"),
        (server(topology=FLOATING), host(), "numa", "tells of no NUMA cells"),
        (
            server(need("n", 2), pcie_root=RootPolicy.REQUIRED),
            host("h1", under("a", "r1"), under("b", "r2")),
            "numa",
            "none of its 2 PCIe root ports has all of n",
        ),
    ],
)
def test_a_filter_says_what_is_wrong_and_what_would_help(
    request_: ServerRequest, view: HostView, code: str, words: str
) -> None:
    verdict = first_verdict(request_, view)
    assert verdict is not None
    assert verdict.code == code
    assert words in verdict.reason
    assert verdict.remedy


def test_a_host_all_of_whose_cpus_are_for_pinning_is_told_what_shares_some() -> None:
    verdict = first_verdict(server(), host(stocks={**STOCKS, "VCPU": Stock(0)}))
    assert verdict is not None
    assert verdict.reason == "has 0 of 0 VCPUs free, 1 needed"
    assert verdict.remedy.startswith("name some in [compute] cpu_shared_set of h1")


def test_every_filter_is_named_by_its_verdicts() -> None:
    names = [each.code for each in filters_of(FILTERS_OF_NOVA)]
    assert len(set(names)) == len(names)


def test_compute_filter_can_be_left_out_and_no_other() -> None:
    without, with_it = filters_of(()), filters_of(FILTERS_OF_NOVA)
    down = host("h1", alive=False)
    assert first_verdict(server(), down, without) is None
    assert first_verdict(server(), down, with_it) is not None
    for view in (
        host(enabled=False),
        host(frozen_reason="history lost"),
        host(frozen_reason="history lost", alive=False),
        host(stocks={}),
    ):
        assert first_verdict(server(), view, without) is not None
    assert first_verdict(server(need("a1")), host(), without) is not None


def test_every_filter_of_novas_is_honoured_or_called_idle() -> None:
    assert {*OF_NOVA, *IDLE_FILTERS} == set(FILTERS_OF_NOVA)
    assert IDLE_FILTERS.isdisjoint(OF_NOVA)


def test_a_host_that_has_all_is_taken() -> None:
    view = host("h1", NETWORK_VF, physical_networks=frozenset({"physnet1"}))
    (choice,) = select_hosts(server(PORT), Fleet.of([view])).choices
    assert [given.device.id for given in choice.given] == ["a"]


def test_servers_without_devices_leave_the_hosts_with_devices_free() -> None:
    hosts = [host("with", vf("a")), host("without")]
    fleet = Fleet.of(hosts)
    assert select_hosts(server(), fleet).choices[0].host.name == "without"
    assert select_hosts(server(need("n")), fleet).choices[0].host.name == "with"


def test_servers_with_devices_fill_one_host_before_the_next() -> None:
    fleet = Fleet.of([host("many", vf("a"), vf("b")), host("one", vf("c"))])
    assert select_hosts(server(need("n")), fleet).choices[0].host.name == "one"


def test_servers_are_spread_by_what_is_free_then_by_name() -> None:
    full = {"VCPU": Stock(8), "MEMORY_MB": Stock(4096, 2048), "DISK_GB": Stock(100)}
    hosts = [host("a", stocks=full), host("c"), host("b")]

    def names(multipliers: Multipliers) -> list[str]:
        fleet = Fleet.of(hosts)
        found = select_hosts(server(), fleet, multipliers=multipliers, choices=3)
        return [choice.host.name for choice in found.choices]

    assert names(Multipliers()) == ["b", "c", "a"]
    assert names(Multipliers(ram=-1.0)) == ["a", "b", "c"]
    assert names(Multipliers(ram=0.0)) == ["a", "b", "c"]


def test_a_heavier_weigher_outweighs_the_others() -> None:
    """Sums of parts of 0 to 1: one that differs by its whole width beats two at half of theirs."""
    cpus = {"VCPU": Stock(8, 2), "MEMORY_MB": Stock(4096), "DISK_GB": Stock(100)}
    disk = {"VCPU": Stock(8), "MEMORY_MB": Stock(4096), "DISK_GB": Stock(100, 90)}
    fleet = Fleet.of([host("cpus", stocks=cpus), host("disk", stocks=disk)])
    for name, multipliers in (
        ("disk", Multipliers(cpu=2.0)),
        ("cpus", Multipliers(disk=2.0)),
        ("cpus", Multipliers()),
    ):
        (choice,) = select_hosts(server(), fleet, multipliers=multipliers).choices
        assert choice.host.name == name


@pytest.mark.parametrize(
    ("free", "weight"), [(0, 100), (1, 99), (2, 98), (50, 50), (98, 2), (99, 1), (500, 1)]
)
def test_free_devices_weigh_as_in_nova(free: int, weight: int) -> None:
    assert devices_weight(np.array([free])).tolist() == [weight]


def test_no_host_is_told_with_counts_hosts_and_remedy() -> None:
    held = vf("a", standing=Standing.HELD)
    hosts = [host(f"h{n}", held) for n in range(5)] + [host("off", enabled=False)]
    text = select_hosts(server(need("alias a1")), Fleet.of(hosts)).explain()
    assert text.startswith(NO_HOST)
    assert "devices turned away 5 of 6: alias a1 needs 1" in text
    assert "(h0, h1, h2 and 2 more)" in text
    assert "host_enabled turned away 1 of 6: off is disabled" in text
    assert "What would help: delete a server that holds such a device" in text
    assert len(text) < 2000


def test_the_cause_on_the_host_that_was_asked_for_comes_before_what_others_say() -> None:
    hosts = [host(f"h{n}", vf(f"d{n}", standing=Standing.HELD)) for n in range(4)]
    text = select_hosts(server(need("a1"), host="h2"), Fleet.of(hosts)).explain()
    assert text.startswith(f"{NO_HOST} devices turned away 1 of 4: h2 a1 needs 1; of 1 that fit")
    assert "forced_host turned away 3 of 4: is not h2" in text


def test_what_an_operator_wrote_with_a_full_stop_ends_a_sentence_once() -> None:
    off = host("h1", enabled=False, disabled_reason="Its fan is broken.")
    text = select_hosts(server(), Fleet.of([off])).explain()
    assert "is disabled: Its fan is broken. What would help" in text
    assert ".." not in text


def test_no_host_at_all_says_how_to_get_one() -> None:
    assert "enrol one" in select_hosts(server(), Fleet.of([])).explain()


_STANDINGS = st.sampled_from([*Standing, Standing.FREE, Standing.FREE])
_METADATA = st.dictionaries(
    st.sampled_from(
        ["ssd", DEVICES_ONLY_KEY, "filter_tenant_id1", "instance_type", "hw_machine_type"]
    ),
    st.sampled_from(["true", "false", "p1", "p1, p2", "m1,m2", "q35"]).filter(bool),
    max_size=2,
)
_AGGREGATES = st.lists(_METADATA, max_size=2).map(
    lambda several: tuple(
        HostAggregate.of(
            f"a{number}",
            one | ({DEVICES_ONLY_KEY: "true"} if DEVICES_ONLY_KEY in one else {}),
        )
        for number, one in enumerate(several)
    )
)
_NETWORKS = st.frozensets(st.sampled_from(["physnet1", "physnet2"]))


_ROOTS = st.sampled_from([None, "r1", "r2"])
_NODES = st.sampled_from([None, 0, 1])


def _cell(draw: st.DrawFn, node: int) -> HostCell:
    cpus = frozenset(range(2 * node, 2 * node + 2))
    return HostCell(
        id=node,
        socket=draw(st.sampled_from([0, 1])),
        dedicated=cpus,
        pinned=draw(st.frozensets(st.sampled_from(sorted(cpus)))),
        siblings=draw(st.sampled_from([(), (cpus,)])),
        amounts={VCPUS: Amount(2, 4), MEMORY: Amount(draw(st.sampled_from([256, 512])), 512)},
    )


def _pinned(nodes: int) -> GuestTopology:
    cells = (GuestCell(frozenset(), frozenset({node}), 256) for node in range(nodes))
    return GuestTopology(cells=tuple(cells), cpu_policy=CpuPolicy.DEDICATED)


def _by(policy: NumaPolicy, one: DeviceNeed) -> DeviceNeed:
    return replace(one, request=replace(one.request, numa_policy=policy))


@st.composite
def _host(draw: st.DrawFn) -> HostView:
    number = draw(st.integers(0, 99))
    return host(
        f"h{number}",
        *(
            vf(f"{number}v{n}", f"{number}p{n % 2}", standing=draw(_STANDINGS))
            for n in range(draw(st.integers(0, 4)))
        ),
        *((vf(f"{number}n", tags={"physical_network": "physnet1"}),) * draw(st.integers(0, 1))),
        *(
            under(f"{number}u{n}", draw(_ROOTS), draw(_NODES))
            for n in range(draw(st.integers(0, 3)))
        ),
        cells=tuple(_cell(draw, node) for node in range(draw(st.integers(0, 2)))),
        enabled=draw(st.sampled_from([True, True, False])),
        alive=draw(st.sampled_from([True, True, False])),
        frozen_reason=draw(st.sampled_from(["", "", "history lost"])),
        zone=draw(st.sampled_from(["east", "west"])),
        aggregates=draw(_AGGREGATES),
        platform=draw(st.sampled_from([Platform(), Platform("x86_64", "qemu", 8_002_001)])),
        servers=draw(st.frozensets(st.sampled_from(["s1", "s2", "s3"]))),
        groups=draw(st.dictionaries(st.just("g"), st.integers(1, 2))),
        physical_networks=draw(_NETWORKS),
        bridges=draw(st.dictionaries(st.sampled_from(["physnet1", "physnet2"]), st.just("br-ex"))),
        pairs=draw(st.booleans()),
        stocks={
            "PCPU": Stock(4),
            "VCPU": Stock(draw(st.integers(0, 3)), draw(st.integers(0, 1))),
            "MEMORY_MB": Stock(draw(st.sampled_from([256, 4096, 8192]))),
            **({"DISK_GB": Stock(9)} if draw(st.booleans()) else {}),
        },
    )


_hosts = st.lists(_host(), max_size=6, unique_by=lambda view: view.name)
_requests = st.builds(
    lambda count, port, vcpus, disk, zone, name, topology, policy, root, more: server(
        *([_by(policy, need("n", count))] if count else []),
        *([PORT] if port else []),
        vcpus=vcpus, disk_gib=disk, zone=zone, host=name, topology=topology, pcie_root=root, **more,
    ),
    st.integers(0, 3),
    st.booleans(),
    st.integers(0, 3),
    st.integers(0, 1),
    st.sampled_from([None, None, "east", "south"]),
    st.sampled_from([None, None, None, "h1"]),
    st.sampled_from([None, FLOATING, PINNED, _pinned(2)]),
    st.sampled_from(NumaPolicy),
    st.sampled_from(RootPolicy),
    st.fixed_dictionaries(
        {},
        optional={
            "project_id": st.sampled_from(["p1", "p3"]),
            "flavor_name": st.sampled_from(["m1", "m3"]),
            "switched": st.frozensets(
                st.sampled_from([("physnet1",), ("physnet1", "physnet2"), ("physnet3",)])
            ),
            "extra_specs": st.sampled_from(
                [{"ssd": "true"}, {"capabilities:num_instances": "<= 1"}]
            ),
            "image_id": st.sampled_from(["i1", "i2"]),
            "same_host": st.just(frozenset({"s1"})),
            "different_host": st.just(frozenset({"s2"})),
            "group": st.builds(
                GroupRequest,
                id=st.just("g"),
                name=st.just("web"),
                policy=st.sampled_from(GroupPolicy),
                hosts=st.frozensets(st.sampled_from(["h1", "h2"])),
            ),
            "image_properties": st.sampled_from(
                [{"hw_machine_type": "q35"}, {"ssd": "no"}, {"hw_architecture": "amd64"}]
            ),
        },
    ),
)  # fmt: skip


@given(_hosts, _requests)
def test_both_faces_of_a_filter_say_the_same(
    hosts: list[HostView], request_: ServerRequest
) -> None:
    fleet = Fleet.of(hosts)
    for each in {*filters_of(FILTERS_OF_NOVA, SETTINGS), *filters_of(()), claimable(["h1"])}:
        answers = [each.why(request_, view) for view in fleet.views]
        if each.mask is not None:
            passed = each.mask(request_, fleet).tolist()
            assert passed == [answer is None for answer in answers], each.code
            continue
        assert each.alike is not None
        by_code = dict(zip(each.alike(fleet).tolist(), answers, strict=True))
        assert answers == [by_code[code] for code in each.alike(fleet).tolist()], each.code


@given(_hosts, _requests, st.integers(1, 6))
def test_every_host_is_fit_or_told_why(
    hosts: list[HostView], request_: ServerRequest, choices: int
) -> None:
    fleet = Fleet.of(hosts)
    filters = filters_of(FILTERS_OF_NOVA, SETTINGS)
    verdicts = {view.name: first_verdict(request_, view, filters) for view in hosts}
    fitting = [name for name, verdict in verdicts.items() if verdict is None]
    selection = select_hosts(request_, fleet, filters, choices=choices, whole=True)
    assert selection.fitting == len(fitting)
    assert len(selection.choices) == min(choices, len(fitting))
    assert {choice.host.name for choice in selection.choices} <= set(fitting)
    wanted = sum(one.request.count for one in request_.needs)
    assert all(len(choice.given) == wanted for choice in selection.choices)
    told = Counter[str]()
    for one in selection.rejections:
        told[one.verdict.code] += one.count
        for name in one.hosts:
            said = verdicts[name]
            assert said is not None
            assert (said.code, said.reason) == (one.verdict.code, one.verdict.reason)
        assert one.verdict.remedy
    assert told == Counter(one.code for one in verdicts.values() if one is not None)
    quick = select_hosts(request_, fleet, filters, choices=choices)
    assert quick.choices == selection.choices
    assert quick.rejections == (() if fitting else selection.rejections)


@given(_hosts, st.lists(st.tuples(_host(), st.booleans()), max_size=6))
def test_a_fleet_that_is_changed_is_the_one_made_anew(
    hosts: list[HostView], changes: list[tuple[HostView, bool]]
) -> None:
    fleet, known = Fleet.of(hosts), {view.id: view for view in hosts}
    for view, stays in changes:
        fleet = fleet.with_views({view.id: view if stays else None})
        known.pop(view.id, None)
        if stays:
            known[view.id] = view
        assert plain(fleet) == plain(Fleet.of(known.values()))


def plain(fleet: Fleet) -> object:
    """Everything that a fleet says; codes differ with its history, what they stand for does not."""

    def values(codes: Codes) -> list[object]:
        names = {code: value for value, code in codes.of.items()}
        return [names[code] for code in codes.column.tolist()]

    return (
        fleet.views,
        fleet.row_of,
        [one.tolist() for one in (fleet.enabled, fleet.alive, fleet.thawed, fleet.free_devices)],
        [values(one) for one in (fleet.zones, fleet.shapes, fleet.numa_shapes)],
        [values(one) for one in (fleet.aggregates, fleet.platforms)],
        {name: one.tolist() for name, one in fleet.free.items() if one.any()},
        {name: one.tolist() for name, one in fleet.reached.items() if one.any()},
    )


def test_a_host_that_has_nothing_to_give_after_all_is_turned_away_alone() -> None:
    """Verdicts are of a shape, devices of a host: where they disagree, it is that host's affair."""
    fleet = Fleet.of([host("h1"), host("h2", vf("a")), host("h3")])
    found = select_hosts(server(need("a1")), fleet, (), choices=9, whole=True)
    assert [one.host.name for one in found.choices] == ["h2"]
    assert found.fitting == 1
    (rejection,) = found.rejections
    assert (rejection.verdict.code, rejection.hosts) == ("devices", ("h1", "h3"))
    none = select_hosts(server(need("a1")), Fleet.of([host("h1")]), ())
    assert "devices turned away 1 of 1: h1 a1 needs 1" in none.explain()


def test_such_a_host_is_turned_away_by_the_filter_of_what_it_lacks() -> None:
    """Whatever else is asked: want of devices is not want of bandwidth, and its facts are told."""
    ill = replace(vf("a", standing=Standing.UNFIT), unfit="its link")
    asked = server(need("p", promise=Promise(egress_kbps=1)))
    (rejection,) = select_hosts(asked, Fleet.of([host("h1", ill)]), ()).rejections
    assert rejection.verdict == first_verdict(asked, host("h1", ill))
    assert rejection.verdict.code == "devices"
    assert rejection.verdict.facts == {"needs": ["p"], "unfit": ["its link"]}
