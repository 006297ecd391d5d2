from domain.scheduling.hosts import host, need, server, vf
from lanekeeper.config.filter_name import FILTERS as FILTERS_OF_NOVA
from lanekeeper.domain.scheduling.filter_choice import filters_of
from lanekeeper.domain.scheduling.fleet import Fleet
from lanekeeper.domain.scheduling.host import Standing
from lanekeeper.domain.scheduling.member_view import member_rejections, member_verdict
from lanekeeper.domain.scheduling.selection import explain_rejections, select_hosts
from lanekeeper.domain.scheduling.verdict import Verdict


def test_every_filter_has_words_for_members() -> None:
    for each in filters_of(FILTERS_OF_NOVA):
        told = member_verdict(Verdict(code=each.code, reason="h1", remedy="h1"))
        assert told.remedy
        assert told.remedy != "h1"


def test_a_verdict_without_words_tells_nothing() -> None:
    verdict = Verdict(code="new", reason="h1 burns", remedy="run to h1", facts={"host": "h1"})
    assert member_verdict(verdict) == Verdict(
        code="new", reason="does not fit", remedy="ask an operator"
    )


def test_counts_are_told_and_configuration_is_not() -> None:
    device = vf("a", tags={"physical_network": "physnet2"})
    hosts = [host(name, device, physical_networks=frozenset({"physnet1"})) for name in ("h1", "h2")]
    asked = server(need("port web", physical_network="physnet1"))
    (told,) = member_rejections(select_hosts(asked, Fleet.of(hosts)).rejections)
    assert (told.hosts, told.count) == ((), 2)
    assert told.verdict.reason == "port web needs 1, and no device listed here fits"
    text = explain_rejections([told])
    assert "devices turned away 2 of 2: port web needs 1" in text
    assert "fits (2 hosts). What would help:" in text
    assert "physnet" not in text


def test_amounts_are_told_as_they_are() -> None:
    asked = select_hosts(server(vcpus=9), Fleet.of([host("h1")]))
    (rejection,) = member_rejections(asked.rejections)
    assert rejection.verdict.reason == "has 8 of 8 VCPUs free, 9 needed"
    assert rejection.verdict.facts == {"free": 8, "capacity": 8, "needed": 9}


def test_each_group_of_hosts_is_told_with_how_many_they_are() -> None:
    hosts = [
        *(host(f"a{n}", vf(f"a{n}", standing=Standing.CLEANING)) for n in range(3)),
        host("b", vf("b", standing=Standing.HELD)),
        *(host(f"c{n}", *(vf(f"c{n}{k}", standing=Standing.HELD) for k in "xy")) for n in range(2)),
    ]
    selection = select_hosts(server(need("a1")), Fleet.of(hosts))
    text = explain_rejections(member_rejections(selection.rejections))
    assert (
        "devices turned away 6 of 6: a1 needs 1; of 1 that fit 0 are free, 1 are being cleaned "
        "(3 hosts); a1 needs 1; of 2 that fit 0 are free, 2 are held (2 hosts); "
        "a1 needs 1; of 1 that fit 0 are free, 1 are held (1 host). What would help:"
    ) in text


def test_one_host_alone_is_counted_once() -> None:
    selection = select_hosts(
        server(need("a1")), Fleet.of([host("b", vf("b", standing=Standing.HELD))])
    )
    text = explain_rejections(member_rejections(selection.rejections))
    assert "devices turned away 1 of 1: a1 needs 1; of 1 that fit 0 are free, 1 are held. " in text
