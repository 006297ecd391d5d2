"""Bindings of a port one by one: where it is, and where it may go."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from api.network_site import Client, World
from lanekeeper.control.verify import network as invariant
from lanekeeper.store.records import records_load
from lanekeeper.store.tables import port, port_binding, segment

OWNER = {"device_owner": "compute:nova", "device_id": "7e0d2f7c-0000-0000-0000-000000000001"}
DIRECT = {"binding:vnic_type": "direct"}
ELSEWHERE = sa.select(segment.c.id).where(segment.c.segmentation_id == 16).scalar_subquery()
DETAILS = {"port_filter": False, "connectivity": "l2", "vlan": "15"}


@pytest.fixture
def two(each: World) -> World:
    each.another_host("h2")
    each.another_host("far", network="physnet2")
    return each


def a_port(client: Client, **more: Any) -> str:
    network = client.network(15)
    return str(
        client.port(network["id"], **{**OWNER, **DIRECT, "binding:host_id": "h1", **more})["id"]
    )


def bindings(client: Client, port_id: str, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/ports/{port_id}/bindings", **query)["bindings"]
    return found


def wanted(host: str, **more: Any) -> dict[str, Any]:
    return {"binding": {"host": host, "vnic_type": "direct", **more}}


@pytest.mark.service
def test_a_port_goes_to_a_host_where_it_has_a_binding(two: World) -> None:
    service = two.client("service")
    port_id = a_port(service, **{"binding:profile": {"pci_slot": "0000:21:10.0"}})
    made = service.post(
        f"/ports/{port_id}/bindings", wanted("h2", profile={"pci_slot": "0000:21:10.2"})
    )
    assert made == {
        "host": "h2",
        "vif_type": "hw_veb",
        "vif_details": DETAILS,
        "vnic_type": "direct",
        "profile": {"pci_slot": "0000:21:10.2"},
        "status": "INACTIVE",
    }
    assert [(b["host"], b["status"]) for b in bindings(service, port_id)] == [
        ("h1", "ACTIVE"),
        ("h2", "INACTIVE"),
    ]
    assert [b["host"] for b in bindings(service, port_id, host="h2")] == ["h2"]
    shown = service.get(f"/ports/{port_id}")["port"]
    assert shown["binding:host_id"] == "h1"
    bare = service.call("PUT", f"/ports/{port_id}/bindings/h2/activate", 200)
    assert bare == {**made, "status": "ACTIVE"}
    moved = service.get(f"/ports/{port_id}")["port"]
    assert moved["binding:host_id"] == "h2"
    assert moved["binding:profile"] == {"pci_slot": "0000:21:10.2"}
    assert (moved["binding:vif_type"], moved["status"]) == ("hw_veb", "DOWN")
    assert moved["revision_number"] > shown["revision_number"]
    (left,) = bindings(service, port_id, host="h1")
    assert left["status"] == "INACTIVE"
    assert (left["host"], left["vif_type"], left["vif_details"]) == ("h1", "unbound", {})
    service.delete(f"/ports/{port_id}/bindings/h1")
    assert [b["host"] for b in bindings(service, port_id)] == ["h2"]


@pytest.mark.service
def test_one_of_two_activations_wins(two: World) -> None:
    service = two.client("service")
    two.another_host("h3")
    port_id = a_port(service)
    for name in ("h2", "h3"):
        service.post(f"/ports/{port_id}/bindings", wanted(name))
    paths = [f"/network/v2.0/ports/{port_id}/bindings/{name}/activate" for name in ("h2", "h3")]
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda path: two.http.put(path, headers=service.headers), paths))
    assert [reply.status_code for reply in replies] == [200, 200]  # one after the other
    with two.site.database.read() as connection:
        records = records_load(connection)
    assert not [*invariant.bindings_are_of_one_place_each(records)]
    shown = bindings(service, port_id)
    assert sorted(b["host"] for b in shown) == ["h1", "h2", "h3"]
    assert [b["status"] for b in shown] == ["ACTIVE", "INACTIVE", "INACTIVE"]


@pytest.mark.service
def test_rivals_for_one_host_get_one_binding(two: World) -> None:
    service = two.client("service")
    port_id = a_port(service)
    path = f"/network/v2.0/ports/{port_id}/bindings"
    with ThreadPoolExecutor(4) as pool:
        replies = list(
            pool.map(
                lambda _: two.http.post(path, json=wanted("h2"), headers=service.headers), range(4)
            )
        )
    assert sorted(reply.status_code for reply in replies) == [201, 409, 409, 409]


def test_a_binding_is_of_the_ports_kind_where_none_is_said(one: World, admin: Client) -> None:
    one.another_host("h2")
    made = admin.post(f"/ports/{a_port(admin)}/bindings", {"binding": {"host": "h2"}})
    assert (made["vnic_type"], made["vif_type"]) == ("direct", "hw_veb")


@pytest.fixture
def port_id(one: World, admin: Client) -> str:
    one.another_host("h2")
    one.another_host("far", network="physnet2")
    return a_port(admin)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind", "says"),
    [
        ("POST", "", wanted("h1"), 409, "PortBindingAlreadyExists", "already exists"),
        ("POST", "", wanted("nowhere"), 409, "PortBindingError", "there is no host nowhere"),
        ("POST", "", wanted("far"), 409, "PortBindingError", "far does not reach physnet1"),
        ("POST", "", wanted("h2", vnic_type="dirct"), 400, "HTTPBadRequest", "vnic_type 'dirct'"),
        ("POST", "", wanted(""), 400, "HTTPBadRequest", "host is empty"),
        ("POST", "", {"binding": {}}, 400, "HTTPBadRequest", "host"),
        ("POST", "", wanted("h2", profile={"a": "b" * 5000}), 400, "InvalidInput", "4095"),
        ("GET", "/h2", None, 404, "PortBindingNotFound", "host h2 could not be found"),
        ("PUT", "/h2", {"binding": {"profile": {}}}, 404, "PortBindingNotFound", "h2"),
        ("DELETE", "/h2", None, 404, "PortBindingNotFound", "h2"),
        ("PUT", "/h1/activate", None, 409, "PortBindingAlreadyActive", "h1 is already active"),
        ("PUT", "/h2/activate", None, 404, "PortBindingNotFound", "h2"),
    ],
)
def test_refusals(
    admin: Client,
    port_id: str,
    method: str,
    path: str,
    body: object,
    status: int,
    kind: str,
    says: str,
) -> None:
    before = bindings(admin, port_id)
    found, message = admin.refused(method, f"/ports/{port_id}/bindings{path}", status, body)
    assert found == kind
    assert says in message
    assert bindings(admin, port_id) == before


def test_a_port_that_no_server_has_does_not_move(admin: Client) -> None:
    port_id = admin.port(admin.network(15)["id"])["id"]
    kind, message = admin.refused("GET", f"/ports/{port_id}/bindings", 400)
    assert kind == "BadRequest"
    assert "only valid on compute ports" in message
    kind, _ = admin.refused("GET", "/ports/nowhere/bindings", 404)
    assert kind == "PortNotFound"


def test_members_see_no_binding(one: World, admin: Client, port_id: str) -> None:
    kind, message = one.client("member").refused("GET", f"/ports/{port_id}/bindings", 403)
    assert kind == "PolicyNotAuthorized"
    assert "get_port_binding" in message


def test_an_inactive_binding_changes_alone(admin: Client, port_id: str) -> None:
    path = f"/ports/{port_id}/bindings"
    admin.post(path, wanted("h2"))
    changed = admin.put(f"{path}/h2", {"binding": {"profile": {"vf_num": 3}}})
    assert (changed["profile"], changed["vif_type"]) == ({"vf_num": 3}, "hw_veb")
    kind, _ = admin.refused("PUT", f"{path}/h2", 409, {"binding": {"host": "h1"}})
    assert kind == "PortBindingAlreadyExists"
    kind, message = admin.refused("PUT", f"{path}/h2", 409, {"binding": {"vnic_type": "vdpa"}})
    assert (kind, "vdpa is not carried" in message) == ("PortBindingError", True)
    assert admin.get(f"{path}/h2")["binding"]["vnic_type"] == "direct"
    assert admin.get(f"/ports/{port_id}")["port"]["binding:host_id"] == "h1"


def test_the_active_binding_is_the_ports_own(admin: Client, port_id: str) -> None:
    path = f"/ports/{port_id}/bindings"
    admin.put(f"{path}/h1", {"binding": {"profile": {"a": 1}}})
    assert admin.get(f"/ports/{port_id}")["port"]["binding:profile"] == {"a": 1}
    admin.put(f"/ports/{port_id}", {"port": {"binding:profile": {"a": 2}}})
    assert admin.get(f"{path}/h1")["binding"]["profile"] == {"a": 2}
    kind, _ = admin.refused("PUT", f"{path}/h1", 409, {"binding": {"host": "far"}})
    assert kind == "PortBindingError"  # and, as in Neutron, the port is where it was sent
    (failed,) = bindings(admin, port_id)
    assert (failed["host"], failed["vif_type"]) == ("far", "binding_failed")
    assert "does not reach physnet1" in failed["vif_details"]["binding_failure"]
    admin.delete(f"{path}/far")
    (nowhere,) = bindings(admin, port_id)
    assert (nowhere["host"], nowhere["vif_type"], nowhere["status"]) == ("", "unbound", "ACTIVE")


def test_a_port_that_is_sent_to_a_host_is_not_to_go_there_too(admin: Client, port_id: str) -> None:
    admin.post(f"/ports/{port_id}/bindings", wanted("h2", profile={"old": True}))
    admin.put(f"/ports/{port_id}", {"port": {"binding:host_id": "h2"}})
    (only,) = bindings(admin, port_id)
    assert (only["host"], only["status"], only["profile"]) == ("h2", "ACTIVE", {})


def test_a_port_with_a_device_moves_with_its_server_alone(one: World, admin: Client) -> None:
    one.another_host("h2")
    port_id = admin.port(admin.network(15)["id"], **DIRECT)["id"]
    one.hold(port_id)
    path = f"/ports/{port_id}/bindings"
    admin.post(path, wanted("h2"))
    kind, message = admin.refused("PUT", f"{path}/h2/activate", 409)
    assert (kind, "move the server" in message) == ("PortInUse", True)
    kind, _ = admin.refused("DELETE", f"{path}/h1", 409)
    assert kind == "PortInUse"
    assert [b["status"] for b in bindings(admin, port_id)] == ["ACTIVE", "INACTIVE"]


def test_bindings_go_with_their_server(one: World, admin: Client) -> None:
    from lanekeeper.store.network.port_hold import port_detach

    one.another_host("h2")
    port_id = admin.port(admin.network(15)["id"], **DIRECT)["id"]
    one.hold(port_id)
    admin.post(f"/ports/{port_id}/bindings", wanted("h2"))
    one.site.database.write(lambda connection: port_detach(connection, port_id, one.hands.now))
    with one.site.database.read() as connection:
        assert connection.execute(sa.select(port_binding)).all() == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda: port_binding.update().values(host_name="h1"), "may go there too"),
        (lambda: port.update().values(segment_id=ELSEWHERE), "which is not its network's"),
    ],
)
def test_a_binding_that_contradicts_its_port_is_found(
    one: World, admin: Client, port_id: str, change: Callable[[], sa.Update], says: str
) -> None:
    admin.post(f"/ports/{port_id}/bindings", wanted("h2"))

    def found() -> list[str]:
        with one.site.database.read() as connection:
            records = records_load(connection)
        return [one.problem for one in invariant.bindings_are_of_one_place_each(records)]

    assert found() == []
    admin.network(16)
    one.site.database.write(lambda connection: connection.execute(change()))
    assert len(found()) == 1
    assert says in found()[0]
