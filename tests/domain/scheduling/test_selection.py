import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.scheduling.hosts import host, need, server, vf
from lanekeeper.config.value import FILTERS as FILTERS_OF_NOVA
from lanekeeper.domain.scheduling.filter import FILTERS, OF_NOVA, filters_of
from lanekeeper.domain.scheduling.host import HostView, ServerRequest, Standing, Stock
from lanekeeper.domain.scheduling.selection import NO_HOST, first_verdict, select_hosts

PORT = need("port p", physical_network="physnet1")
NETWORK_VF = vf("a", tags={"physical_network": "physnet1"})


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


def test_every_filter_is_named_by_its_verdicts() -> None:
    names = [check.__name__ for check in FILTERS]
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


def test_every_filter_of_novas_that_is_honoured_is_one_of_novas() -> None:
    assert set(OF_NOVA) <= set(FILTERS_OF_NOVA)


def test_a_host_that_has_all_is_taken() -> None:
    view = host("h1", NETWORK_VF, physical_networks=frozenset({"physnet1"}))
    (choice,) = select_hosts(server(PORT), [view]).choices
    assert [given.device.id for given in choice.given] == ["a"]


def test_servers_without_devices_leave_the_hosts_with_devices_free() -> None:
    hosts = [host("with", vf("a")), host("without")]
    assert select_hosts(server(), hosts).choices[0].host.name == "without"
    assert select_hosts(server(need("n")), hosts).choices[0].host.name == "with"


def test_servers_are_spread_by_free_memory_then_by_name() -> None:
    full = {"VCPU": Stock(8), "MEMORY_MB": Stock(4096, 2048), "DISK_GB": Stock(100)}
    hosts = [host("a", stocks=full), host("c"), host("b")]
    names = [choice.host.name for choice in select_hosts(server(), hosts).choices]
    assert names == ["b", "c", "a"]


def test_no_host_is_told_with_counts_hosts_and_remedy() -> None:
    held = vf("a", standing=Standing.HELD)
    hosts = [host(f"h{n}", held) for n in range(5)] + [host("off", enabled=False)]
    text = select_hosts(server(need("alias a1")), hosts).explain()
    assert text.startswith(NO_HOST)
    assert "devices turned away 5 of 6: h0 alias a1 needs 1" in text
    assert "and 2 more" in text
    assert "host_enabled turned away 1 of 6: off is disabled" in text
    assert "What would help: delete a server that holds such a device" in text
    assert len(text) < 2000


def test_what_an_operator_wrote_with_a_full_stop_ends_a_sentence_once() -> None:
    off = host("h1", enabled=False, disabled_reason="Its fan is broken.")
    text = select_hosts(server(), [off]).explain()
    assert "is disabled: Its fan is broken. What would help" in text
    assert ".." not in text


def test_no_host_at_all_says_how_to_get_one() -> None:
    assert "enrol one" in select_hosts(server(), []).explain()


_hosts = st.lists(
    st.builds(
        lambda number, enabled, alive, cpus, vfs: host(
            f"h{number}",
            *(vf(f"{number}v{n}") for n in range(vfs)),
            enabled=enabled,
            alive=alive,
            stocks={"VCPU": Stock(cpus), "MEMORY_MB": Stock(4096), "DISK_GB": Stock(9)},
        ),
        st.integers(0, 99),
        st.booleans(),
        st.booleans(),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=6,
    unique_by=lambda view: view.name,
)


@given(_hosts, st.integers(0, 3), st.integers(1, 3))
def test_every_host_is_chosen_or_told_why(hosts: list[HostView], count: int, vcpus: int) -> None:
    needs = (need("n", count),) if count else ()
    selection = select_hosts(server(*needs, vcpus=vcpus), hosts)
    chosen = [choice.host.name for choice in selection.choices]
    refused = [rejection.host for rejection in selection.rejections]
    assert sorted(chosen + refused) == sorted(view.name for view in hosts)
    assert all(len(choice.given) == count for choice in selection.choices)
    assert all(rejection.verdict.remedy for rejection in selection.rejections)
