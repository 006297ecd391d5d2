"""Lists: filters, tags, fields, order, pages."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from api.network_site import Client, World
from statements import statements

pytestmark = pytest.mark.service


@pytest.fixture
def ports(admin: Client) -> list[str]:
    """Five ports, ``p0`` to ``p4``; even ones are direct, the last is down."""
    network = admin.network(15)["id"]
    admin.subnet(network)
    made = []
    for number in range(5):
        port = admin.port(
            network,
            **{
                "name": f"p{number}",
                "fixed_ips": [{"ip_address": f"192.0.2.{10 + number}"}],
                "mac_address": f"fa:16:3e:00:00:0{number}",
                "binding:vnic_type": "normal" if number % 2 else "direct",
                "admin_state_up": number != 4,
                "tags": [f"t{number}", "even" if number % 2 == 0 else "odd"],
            },
        )
        made.append(port["id"])
    return made


def names(admin: Client, **query: Any) -> list[str]:
    return sorted(port["name"] for port in admin.get("/ports", **query)["ports"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"name": "p1"}, ["p1"]),
        ({"name": ["p1", "p2"]}, ["p1", "p2"]),
        ({"name": "nobody"}, []),
        ({"admin_state_up": "False"}, ["p4"]),
        ({"binding:vnic_type": "normal"}, ["p1", "p3"]),
        ({"fixed_ips": "ip_address=192.0.2.12"}, ["p2"]),
        ({"fixed_ips": "ip_address_substr=2.1"}, ["p0", "p1", "p2", "p3", "p4"]),
        ({"fixed_ips": "ip_address_substr=2.12"}, ["p2"]),
        ({"fixed_ips": "ip_address_substr=2_12"}, []),
        ({"fixed_ips": "subnet_id=elsewhere"}, []),
        ({"fixed_ips": ["ip_address=192.0.2.12", "ip_address=192.0.2.13"]}, ["p2", "p3"]),
        ({"fixed_ips": "ip_address=192.0.2.12", "name": "p1"}, []),
        ({"mac_address": "FA-16-3E-00-00-03"}, ["p3"]),
        ({"tags": "even"}, ["p0", "p2", "p4"]),
        ({"tags": "even,t2"}, ["p2"]),
        ({"tags-any": "t1,t2"}, ["p1", "p2"]),
        ({"not-tags": "even"}, ["p1", "p3"]),
        ({"not-tags-any": "t1,even"}, ["p3"]),
        ({"device_id": ""}, ["p0", "p1", "p2", "p3", "p4"]),
        ({"device_id": "x"}, []),
        ({"tenant_id": "red", "name": "p0"}, ["p0"]),
        ({"project_id": "blue"}, []),
        ({"binding:host_id": "h1"}, []),
    ],
)
def test_filters(
    admin: Client, ports: list[str], query: dict[str, Any], expected: list[str]
) -> None:
    assert names(admin, **query) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"colour": "red"}, "'colour' is not a filter of ports"),
        ({"sort_key": "colour", "sort_dir": "asc"}, "sort_key 'colour'"),
        ({"sort_key": "fixed_ips", "sort_dir": "asc"}, "sort_key 'fixed_ips'"),
        ({"sort_key": "name"}, "equally often"),
        ({"allowed_address_pairs": "192.0.2.9"}, "'allowed_address_pairs' is not a filter"),
        ({"created_at": "2026"}, "'created_at' is not a filter of ports"),
        ({"sort_key": "name", "sort_dir": "up"}, "neither asc nor desc"),
        ({"sort_dir": "asc"}, "equally often"),
        ({"marker": "gone"}, "marker 'gone'"),
        ({"fixed_ips": "192.0.2.1"}, "ip_address=IP"),
    ],
)
def test_what_cannot_be_asked_is_400(
    admin: Client, ports: list[str], query: dict[str, Any], words: str
) -> None:
    kind, message = admin.refused("GET", "/ports", 400, **query)
    assert (kind, words in message) == ("HTTPBadRequest", True)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ({"limit": "-1"}, "BadRequest"),
        ({"limit": "many"}, "BadRequest"),
        ({"admin_state_up": "maybe"}, "InvalidInput"),
    ],
)
def test_some_have_a_type_of_their_own(
    admin: Client, ports: list[str], query: dict[str, Any], kind: str
) -> None:
    (said,) = query.values()
    assert admin.refused("GET", "/ports", 400, **query)[0] == kind
    assert f"'{said}'" in admin.refused("GET", "/ports", 400, **query)[1]


def test_fields_narrow_lists_and_single_things(admin: Client, ports: list[str]) -> None:
    shown = admin.get("/ports", fields=["id", "name"], name="p0")["ports"]
    assert shown == [{"id": ports[0], "name": "p0"}]
    assert admin.get(f"/ports/{ports[0]}", fields="name") == {"port": {"name": "p0"}}


def test_order(admin: Client, ports: list[str]) -> None:
    query = {"sort_key": ["admin_state_up", "name"], "sort_dir": ["asc", "desc"]}
    shown = admin.get("/ports", **query)["ports"]
    assert [port["name"] for port in shown] == ["p4", "p3", "p2", "p1", "p0"]


def test_pages_lead_through_all_and_back(admin: Client, ports: list[str]) -> None:
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2, "sort_key": "name", "sort_dir": "asc"}
    while True:
        page = admin.get("/ports", **query)
        seen += [port["name"] for port in page["ports"]]
        links = {link["rel"]: link["href"] for link in page.get("ports_links", ())}
        if "next" not in links:
            break
        assert links["next"].startswith("http://testserver/network/v2.0/ports?")
        query = dict(parse_qsl(urlsplit(links["next"]).query))
    assert seen == ["p0", "p1", "p2", "p3", "p4"]
    back = admin.get("/ports", **dict(parse_qsl(urlsplit(links["previous"]).query)))
    assert [port["name"] for port in back["ports"]] == ["p2", "p3"]


def test_the_old_shells_ending_is_understood(admin: Client, ports: list[str]) -> None:
    assert len(admin.get("/ports.json", name="p0")["ports"]) == 1
    assert admin.get(f"/ports/{ports[0]}.json")["port"]["name"] == "p0"
    assert len(admin.get("/ports/")["ports"]) == 5


def test_tags_one_by_one(admin: Client, ports: list[str]) -> None:
    path = f"/ports/{ports[0]}/tags"
    admin.call("PUT", f"{path}/new", 201)
    assert admin.get(path) == {"tags": ["t0", "even", "new"]}
    admin.call("GET", f"{path}/new", 204)
    admin.delete(f"{path}/even")
    assert admin.refused("GET", f"{path}/even", 404)[0] == "TagNotFound"
    assert admin.refused("DELETE", f"{path}/even", 404)[0] == "TagNotFound"
    admin.delete(path)
    assert admin.get(path) == {"tags": []}
    for wrong in (["a,b"], ["t" * 256], [""], [str(n) for n in range(65)]):
        admin.refused("PUT", path, 400, {"tags": wrong})


def test_tags_are_the_owners(one: World, admin: Client) -> None:
    network = admin.network(15, shared=True)["id"]
    blue = one.client("member", "blue")
    assert blue.get(f"/networks/{network}/tags") == {"tags": []}
    assert blue.refused("PUT", f"/networks/{network}/tags", 403, {"tags": ["x"]})[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fixed_ips", "ip_address=192.0.2.12"),
        ("fixed_ips", "ip_address_substr=2.12"),
        ("mac_address", "FA-16-3E-00-00-02"),
        ("binding:host_id", "h1"),
    ],
)
def test_the_database_narrows_so_that_other_ports_are_not_read(
    admin: Client, ports: list[str], name: str, value: str
) -> None:
    admin.put(f"/ports/{ports[2]}", {"port": {"binding:host_id": "h1"}})
    with statements() as said:
        assert names(admin, **{name: value}) == ["p2"]
    (addresses,) = [one for one in said if one.text.startswith("SELECT address.port_id")]
    read = [one for one in addresses.values if one in ports]
    assert read == [ports[2]]


def test_who_does_not_see_a_ports_host_cannot_ask_for_it(
    admin: Client, member: Client, ports: list[str]
) -> None:
    admin.put(f"/ports/{ports[2]}", {"port": {"binding:host_id": "h1"}})
    assert names(member, **{"binding:host_id": "h1"}) == []
    assert len(names(member, **{"binding:host_id": ""})) == len(ports)


def test_a_filter_by_address_that_makes_no_sense_is_refused_where_no_port_is(admin: Client) -> None:
    admin.refused("GET", "/ports", 400, fixed_ips="192.0.2.1")
