"""What a host's aggregates keep from it, and how much they say that a weigher counts."""

from collections.abc import Mapping

import pytest

from domain.scheduling.hosts import host, need, server, vf
from lanekeeper.config.filter_name import FILTERS
from lanekeeper.domain.compute.aggregate import DEVICES_ONLY_KEY, check_devices_only, devices_only
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.scheduling.filter_choice import filters_of
from lanekeeper.domain.scheduling.filter_settings import FilterSettings
from lanekeeper.domain.scheduling.fleet import Fleet
from lanekeeper.domain.scheduling.host import HostAggregate, HostView, ServerRequest, Stock
from lanekeeper.domain.scheduling.selection import first_verdict, select_hosts

EXTRA_SPECS = "AggregateInstanceExtraSpecsFilter"
TENANTS = "AggregateMultiTenancyIsolation"
FLAVORS = "AggregateTypeAffinityFilter"
IMAGES = "AggregateImagePropertiesIsolation"


def member_of(*several: Mapping[str, str], name: str = "h1") -> HostView:
    aggregates = [HostAggregate.of(f"a{number}", one) for number, one in enumerate(several)]
    return host(name, vf("v"), aggregates=tuple(aggregates))


@pytest.mark.parametrize(
    ("name", "request_", "view", "words"),
    [
        (
            EXTRA_SPECS,
            server(extra_specs={"ssd": "true"}),
            member_of(),
            "no aggregate that has ssd",
        ),
        (
            EXTRA_SPECS,
            server(extra_specs={"aggregate_instance_extra_specs:gen": ">= 3"}),
            member_of({"gen": "1"}, {"gen": "2"}),
            "gen=1 or 2, the flavor has aggregate_instance_extra_specs:gen=>= 3",
        ),
        (
            TENANTS,
            server(project_id="p"),
            member_of({"filter_tenant_id7": "q, r"}),
            "other projects",
        ),
        (FLAVORS, server(flavor_name="m9"), member_of({"instance_type": "m1, m2"}), "m1 or m2"),
        (
            IMAGES,
            server(image_properties={"os_distro": "linux"}),
            member_of({"os_distro": "windows"}),
            "os_distro=windows, the image has os_distro=linux",
        ),
    ],
)
def test_a_host_is_turned_away_only_where_the_filter_is_on(
    name: str, request_: ServerRequest, view: HostView, words: str
) -> None:
    verdict = first_verdict(request_, view, filters_of([name]))
    assert verdict is not None
    assert words in verdict.reason
    assert verdict.remedy
    assert first_verdict(request_, view, filters_of({*FILTERS} - {name})) is None


@pytest.mark.parametrize(
    ("request_", "view"),
    [
        (server(extra_specs={"ssd": "true"}), member_of({"ssd": "false,true"})),
        (server(extra_specs={"ssd": "<or> a <or> b"}), member_of({"ssd": "a"}, {"ssd": "c"})),
        (server(extra_specs={"pci_passthrough:alias": "a1"}), member_of()),
        (server(extra_specs={"group_policy": "isolate"}), member_of()),
        (server(project_id="p"), member_of({"filter_tenant_id": "p"}, {"filter_tenant_id2": "q"})),
        (server(project_id="p"), member_of({"tenant": "q"})),
        (server(flavor_name="m2"), member_of({"instance_type": "m1, m2"})),
        (server(image_properties={"os_distro": "linux"}), member_of({"os_distro": "bsd, linux"})),
        (server(), member_of({"os_distro": "windows"})),
    ],
)
def test_a_host_that_matches_passes(request_: ServerRequest, view: HostView) -> None:
    assert first_verdict(request_, view, filters_of(FILTERS)) is None


def test_image_isolation_can_be_for_some_keys_alone() -> None:
    settings = FilterSettings(image_namespace="hw", image_separator="_")
    filters = filters_of([IMAGES], settings)
    asked = server(image_properties={"os_distro": "linux", "hw_machine_type": "pc"})
    assert first_verdict(asked, member_of({"os_distro": "windows"}), filters) is None
    assert first_verdict(asked, member_of({"hw_machine_type": "q35"}), filters) is not None


def test_dedicated_hosts_take_only_servers_that_ask_for_devices() -> None:
    dedicated = member_of({DEVICES_ONLY_KEY: "true"})
    filters = filters_of(())
    verdict = first_verdict(server(), dedicated, filters)
    assert verdict is not None
    assert verdict.code == "devices_only"
    assert "aggregate a0" in verdict.reason
    assert first_verdict(server(need("n")), dedicated, filters) is None
    assert first_verdict(server(), member_of({DEVICES_ONLY_KEY: "false"}), filters) is None


def test_dedicated_is_yes_or_no() -> None:
    assert [devices_only(text) for text in ("true", "YES", "0", "off")] == [
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(Invalid, match="neither true nor false"):
        check_devices_only("perhaps")


def test_an_aggregate_says_how_much_a_weigher_counts_on_its_hosts() -> None:
    half = {"VCPU": Stock(8), "MEMORY_MB": Stock(4096, 2048), "DISK_GB": Stock(100)}

    def best(metadata: Mapping[str, str]) -> str:
        aggregates = (HostAggregate.of("a", metadata),)
        views = [host("a", stocks=half, aggregates=aggregates), host("b", aggregates=aggregates)]
        return select_hosts(server(), Fleet.of(views)).choices[0].host.name

    assert best({}) == "b"
    assert best({"ram_weight_multiplier": "-1.0"}) == "a"
    assert best({"ram_weight_multiplier": "0"}) == "a"
    assert best({"ram_weight_multiplier": "much"}) == "b"
    assert best({"ram_weight_multiplier": "nan"}) == "b"


def test_of_several_multipliers_the_least_counts() -> None:
    half = {"VCPU": Stock(8), "MEMORY_MB": Stock(4096, 2048), "DISK_GB": Stock(100)}
    aggregates = tuple(
        HostAggregate.of(name, {"ram_weight_multiplier": text})
        for name, text in (("x", "3"), ("y", "-2"))
    )
    views = [host("a", stocks=half, aggregates=aggregates), host("b", aggregates=aggregates)]
    assert select_hosts(server(), Fleet.of(views)).choices[0].host.name == "a"
