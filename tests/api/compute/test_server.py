"""Servers over HTTP: shapes by microversion, filters, actions, and each refusal."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fleet import PROJECT, Fleet, fleet
from lanekeeper.api.compute.face import FACE
from lanekeeper.api.compute.server_action import NOT_OFFERED
from lanekeeper.api.compute.server_view import FIELDS

pytestmark = pytest.mark.service

URL = "/compute/v2.1"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, hosts=2) as made:
        yield made


@pytest.fixture
def http(world: Fleet) -> TestClient:
    return world.client(FACE)


@pytest.fixture
def flavor_id(http: TestClient) -> str:
    body = {"flavor": {"name": "m1", "ram": 64, "vcpus": 1, "disk": 1}}
    return str(http.post(f"{URL}/flavors", json=body).json()["flavor"]["id"])


@pytest.fixture
def asked(world: Fleet, flavor_id: str) -> dict[str, Any]:
    return {"name": "s", "flavorRef": flavor_id, "imageRef": world.image(), "networks": "none"}


def make(http: TestClient, asked: dict[str, Any], **more: Any) -> str:
    answer = http.post(f"{URL}/servers", json={"server": asked | more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["server"]["id"])


def show(http: TestClient, server_id: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"{URL}/servers/{server_id}").json()["server"]
    return found


def message(answer: Any) -> str:
    (fault,) = answer.json().values()
    assert fault["code"] == answer.status_code
    return str(fault["message"])


# Create -------------------------------------------------------------------------------------------


def test_what_the_stock_client_sends_makes_a_server(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    mapping = {
        "uuid": asked["imageRef"],
        "boot_index": 0,
        "source_type": "image",
        "destination_type": "local",
        "delete_on_termination": True,
    }
    more = {"min_count": 1, "max_count": 1, "block_device_mapping_v2": [mapping]}
    answer = http.post(f"{URL}/servers", json={"server": asked | more | {"networks": "auto"}})
    made = answer.json()["server"]
    assert answer.status_code == 202
    assert answer.headers["location"].endswith(f"/compute/v2.1/servers/{made['id']}")
    assert sorted(made) == ["OS-DCF:diskConfig", "id", "links", "security_groups"]
    shown = show(http, made["id"])
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("BUILD", "spawning")
    world.obey()
    shown = show(http, made["id"])
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
    assert shown["OS-SRV-USG:launched_at"] == "2026-11-21T09:00:00.000000"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": ""}, "name must have 1 to 255"),
        ({"name": "n" * 256}, "name must have 1 to 255"),
        ({"name": " a"}, "blanks at either end"),
        ({"name": "a\0b"}, "name"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"networks": "some"}, "neither a list, 'auto' nor 'none'"),
        ({"networks": [{}]}, "needs a port or a uuid"),
        ({"networks": [{"uuid": "x", "fixed_ip": "10.0.0"}]}, "not an IPv4 address"),
        ({"networks": [{"uuid": "x"}] * 33}, "networks: 33 cards, a server has 32 at most"),
        ({"min_count": 0}, "min_count 0"),
        ({"min_count": 3, "max_count": 2}, "min_count must be <= max_count"),
        ({"max_count": "many"}, "not a whole number"),
        ({"user_data": "%"}, "not base64"),
        ({"user_data": base64.b64encode(b"\x1f\x8b\xff").decode()}, "not base64 of UTF-8"),
        ({"user_data": "a" * 65536}, "the most is 65535"),
        ({"metadata": {"k" * 256: "v"}}, "metadata key"),
        ({"metadata": {"k": "v" * 256}}, "more than 255"),
        ({"tags": ["a,b"]}, "no comma"),
        ({"tags": ["t" * 61]}, "1 to 60"),
        ({"accessIPv4": "::1"}, "not an IPv4 address"),
        ({"OS-DCF:diskConfig": "SOME"}, "neither AUTO nor MANUAL"),
        ({"config_drive": "maybe"}, "neither true nor false"),
        ({"hostname": "-a"}, "not a host's name"),
        ({"personality": []}, "went with microversion 2.57"),
    ],
)
def test_a_value_that_cannot_be_is_named(
    http: TestClient, asked: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    answer = http.post(f"{URL}/servers", json={"server": asked | more})
    assert answer.status_code == 400
    assert words in message(answer)
    assert len(message(answer)) < 1000
    assert http.get(f"{URL}/servers").json() == {"servers": []}


@pytest.mark.parametrize(
    "more",
    [
        {"block_device_mapping": [{"volume_id": "v"}]},
        {"block_device_mapping_v2": [{"source_type": "volume", "uuid": "v", "boot_index": 0}]},
        {"block_device_mapping_v2": [{"source_type": "image"}, {"source_type": "blank"}]},
        {"trusted_image_certificates": ["c"]},
    ],
)
def test_what_is_not_there_is_a_501(
    http: TestClient, asked: dict[str, Any], more: dict[str, Any]
) -> None:
    answer = http.post(f"{URL}/servers", json={"server": asked | more})
    assert answer.status_code == 501
    assert http.get(f"{URL}/servers").json() == {"servers": []}


@pytest.mark.parametrize(
    ("name", "value", "since"),
    [
        ("description", "d", "2.19"),
        ("tags", ["t"], "2.52"),
        ("host", "h1", "2.74"),
        ("hypervisor_hostname", "h1", "2.74"),
        ("hostname", "db-1", "2.90"),
    ],
)
def test_a_field_that_came_later_is_refused_before(
    world: Fleet, asked: dict[str, Any], name: str, value: object, since: str
) -> None:
    body = {"server": asked | {"networks": [], name: value}}
    minor = int(since.partition(".")[2])
    early = world.client(FACE, version=f"2.{minor - 1}").post(f"{URL}/servers", json=body)
    assert early.status_code == 400
    assert since in message(early)
    assert world.client(FACE, version=since).post(f"{URL}/servers", json=body).status_code == 202


def test_networks_may_be_left_out_before_237_only(world: Fleet, asked: dict[str, Any]) -> None:
    del asked["networks"]
    body = {"server": asked}
    assert world.client(FACE, version="2.36").post(f"{URL}/servers", json=body).status_code == 202
    assert world.client(FACE, version="2.37").post(f"{URL}/servers", json=body).status_code == 400


def test_several_servers_share_a_reservation(http: TestClient, asked: dict[str, Any]) -> None:
    more = {"min_count": 2, "max_count": 3, "return_reservation_id": True}
    reservation = http.post(f"{URL}/servers", json={"server": asked | more}).json()
    query = {"reservation_id": reservation["reservation_id"], "sort_key": "display_name"}
    found = http.get(f"{URL}/servers", params={**query, "sort_dir": "asc"}).json()["servers"]
    assert [server["name"] for server in found] == ["s-1", "s-2", "s-3"]


def test_a_reader_makes_nothing(world: Fleet, asked: dict[str, Any]) -> None:
    answer = world.client(FACE, who="reader").post(f"{URL}/servers", json={"server": asked})
    assert answer.status_code == 403


# Show and list ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.1", "2.47", "2.90", "2.100"])
def test_a_field_is_there_from_its_version_on(
    world: Fleet, http: TestClient, asked: dict[str, Any], version: str
) -> None:
    server_id = make(http, asked)
    shown = show(world.client(FACE, version=version), server_id)
    minor = int(version.partition(".")[2])
    for since, until, name, _ in FIELDS:
        first = int(since.partition(".")[2] or 1)
        last = int(until.partition(".")[2] or 100)
        if name in ("fault", "security_groups") or not first <= minor <= last:
            continue
        assert name in shown, name
    later = {name for since, _, name, _ in FIELDS if since} - {"flavor"}
    for since, _, name, _ in FIELDS:
        if name in later and since and int(since.partition(".")[2]) > minor:
            known = [one for one in FIELDS if one[2] == name]
            if len(known) == 1:
                assert name not in shown, name


def test_a_member_does_not_see_where_a_server_is(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    server_id = make(http, asked)
    shown = show(world.client(FACE, who="member"), server_id)
    assert "OS-EXT-SRV-ATTR:host" not in shown
    assert "host_status" not in shown
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "s"


def test_another_projects_server_is_not_there(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    server_id = make(http, asked)
    stranger = world.client(FACE, who="stranger")
    assert stranger.get(f"{URL}/servers/{server_id}").status_code == 404
    assert stranger.delete(f"{URL}/servers/{server_id}").status_code == 404
    assert stranger.get(f"{URL}/servers").json() == {"servers": []}
    assert stranger.get(f"{URL}/servers?all_tenants=True").status_code == 403


def test_an_error_shows_its_fault_and_only_an_error(
    http: TestClient, asked: dict[str, Any], flavor_id: str
) -> None:
    specs = {"extra_specs": {"pci_passthrough:alias": "a1:8"}}
    http.post(f"{URL}/flavors/{flavor_id}/os-extra_specs", json=specs)
    shown = show(http, make(http, asked))
    assert shown["status"] == "ERROR"
    assert shown["fault"]["code"] == 500
    assert shown["fault"]["message"].startswith("No valid host was found.")
    assert shown["OS-EXT-SRV-ATTR:host"] is None


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"web-1", "web-2", "db"}),
        ("name=web", {"web-1", "web-2"}),
        ("name=^web-1$", {"web-1"}),
        ("name=^w.*2$", {"web-2"}),
        ("name=(a%2B)%2B$", set()),
        ("status=BUILD", {"web-1", "web-2", "db"}),
        ("status=active", set()),
        ("deleted=True", set()),
        ("deleted=False", {"web-1", "web-2", "db"}),
        ("tags=red", {"db"}),
        ("not-tags=red", {"web-1", "web-2"}),
        ("host=h9", set()),
        ("all_tenants=True", {"web-1", "web-2", "db"}),
        ("changes-since=2026-11-21T09:00:00Z", {"web-1", "web-2", "db"}),
        ("changes-since=2026-11-21T09:00:01Z", set()),
        ("locked=True", set()),
        ("project_id=" + PROJECT, {"web-1", "web-2", "db"}),
    ],
)
def test_a_list_is_filtered(
    http: TestClient, asked: dict[str, Any], query: str, names: set[str]
) -> None:
    make(http, asked, name="web-1")
    make(http, asked, name="web-2")
    make(http, asked, name="db", tags=["red"])
    answer = http.get(f"{URL}/servers/detail?{query}")
    assert {server["name"] for server in answer.json()["servers"]} == names


def test_an_address_finds_its_server(world: Fleet, http: TestClient, asked: dict[str, Any]) -> None:
    network_id = world.network()
    nic = {"uuid": network_id, "fixed_ip": "10.0.15.77"}
    server_id = make(http, asked, networks=[nic])
    make(http, asked)
    found = http.get(f"{URL}/servers?ip=15.77").json()["servers"]
    assert [server["id"] for server in found] == [server_id]


def test_pages_follow_one_another(http: TestClient, asked: dict[str, Any]) -> None:
    make(http, asked, max_count=3)
    names, url = [], f"{URL}/servers?limit=2&sort_key=display_name&sort_dir=asc"
    while url:
        page = http.get(url).json()
        names += [server["name"] for server in page["servers"]]
        links = page.get("servers_links", [])
        url = links[0]["href"] if links else ""
    assert names == ["s-1", "s-2", "s-3"]


@pytest.mark.parametrize(
    "query",
    [
        "name=" + "a" * 256,
        "limit=-1",
        "limit=x",
        "marker=none",
        "sort_key=x",
        "sort_dir=up",
        "colour=red",
    ],
)
def test_a_query_that_cannot_be_is_refused(http: TestClient, query: str) -> None:
    sort = "&sort_key=uuid" if query.startswith("sort_dir") else ""
    assert http.get(f"{URL}/servers?{query}{sort}").status_code == 400


def test_an_unknown_query_is_ignored_before_275(world: Fleet) -> None:
    assert world.client(FACE, version="2.74").get(f"{URL}/servers?colour=red").status_code == 200


# Change, act, delete ------------------------------------------------------------------------------


def test_a_server_is_renamed_and_described(http: TestClient, asked: dict[str, Any]) -> None:
    server_id = make(http, asked)
    change = {"server": {"name": "t", "description": "d", "accessIPv4": "10.0.0.1"}}
    answer = http.put(f"{URL}/servers/{server_id}", json=change)
    assert answer.status_code == 200
    shown = show(http, server_id)
    assert (shown["name"], shown["description"], shown["accessIPv4"]) == ("t", "d", "10.0.0.1")


def test_actions_are_seen_at_once_and_done_when_the_host_says_so(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    server_id = make(http, asked)
    world.obey()
    steps: list[tuple[dict[str, Any], str, str, str]] = [
        ({"os-stop": None}, "ACTIVE", "powering-off", "SHUTOFF"),
        ({"os-start": None}, "SHUTOFF", "powering-on", "ACTIVE"),
        ({"reboot": {"type": "SOFT"}}, "REBOOT", "rebooting", "ACTIVE"),
        ({"reboot": {"type": "HARD"}}, "HARD_REBOOT", "rebooting_hard", "ACTIVE"),
    ]
    for action, status, task, end in steps:
        answer = http.post(f"{URL}/servers/{server_id}/action", json=action)
        assert answer.status_code == 202, answer.text
        shown = show(http, server_id)
        assert (shown["status"], shown["OS-EXT-STS:task_state"]) == (status, task)
        again = http.post(f"{URL}/servers/{server_id}/action", json=action)
        assert again.status_code == 409
        world.obey()
        shown = show(http, server_id)
        assert (shown["status"], shown["OS-EXT-STS:task_state"]) == (end, None)


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_an_action_that_is_not_there_is_named(
    http: TestClient, asked: dict[str, Any], name: str
) -> None:
    server_id = make(http, asked)
    answer = http.post(f"{URL}/servers/{server_id}/action", json={name: {}})
    assert answer.status_code == 501
    what, instead = NOT_OFFERED[name]
    assert message(answer) == f"{name}: {what} is not offered ({instead})"


def test_no_remedy_costs_a_server_what_another_would_not() -> None:
    deleting = {name for name, (_, instead) in NOT_OFFERED.items() if "delete" in instead}
    assert deleting == {"resize", "migrate", "os-migrateLive", "rebuild", "restore"}


def test_a_sentence_and_its_remedy_have_one_full_stop_at_most(
    http: TestClient, asked: dict[str, Any]
) -> None:
    answer = http.post(f"{URL}/servers", json={"server": asked | {"key_name": "none"}})
    said = message(answer)
    assert said == "Invalid key_name provided (openstack keypair list shows yours)"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"fly": None}, 400),
        ({"os-start": None}, 409),
        ({"os-start": None, "os-stop": None}, 400),
        ({"reboot": {"type": "WARM"}}, 400),
        ({"os-resetState": {"state": "gone"}}, 400),
        ({"os-getConsoleOutput": {"length": "x"}}, 400),
    ],
)
def test_an_action_that_cannot_be_is_refused(
    http: TestClient, asked: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    server_id = make(http, asked)
    assert http.post(f"{URL}/servers/{server_id}/action", json=body).status_code == status


def test_a_locked_server_is_an_admins_alone(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    server_id = make(http, asked)
    lock = {"lock": {"locked_reason": "audit"}}
    assert http.post(f"{URL}/servers/{server_id}/action", json=lock).status_code == 202
    shown = show(http, server_id)
    assert (shown["locked"], shown["locked_reason"]) == (True, "audit")
    member = world.client(FACE, who="member")
    assert member.delete(f"{URL}/servers/{server_id}").status_code == 409
    assert http.delete(f"{URL}/servers/{server_id}").status_code == 204


def test_an_operator_calls_a_server_an_error_and_takes_it_back(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    server_id = make(http, asked)
    world.obey()
    for state, status in (("error", "ERROR"), ("active", "ACTIVE")):
        body = {"os-resetState": {"state": state}}
        member = world.client(FACE, who="member")
        refused = member.post(f"{URL}/servers/{server_id}/action", json=body)
        assert refused.status_code == 403
        assert http.post(f"{URL}/servers/{server_id}/action", json=body).status_code == 202
        assert show(http, server_id)["status"] == status
        world.obey()
        assert show(http, server_id)["status"] == status


def test_what_is_being_deleted_stays_so_whatever_an_operator_calls_it(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    server_id = make(http, asked)
    world.obey()
    http.delete(f"{URL}/servers/{server_id}")
    action = f"{URL}/servers/{server_id}/action"
    for state in ("error", "active"):
        assert http.post(action, json={"os-resetState": {"state": state}}).status_code == 202
        for body in ({"reboot": {"type": "HARD"}}, {"os-stop": None}):
            answer = http.post(action, json=body)
            assert (answer.status_code, "being deleted" in message(answer)) == (409, True)
    world.obey()
    assert http.get(f"{URL}/servers/{server_id}").status_code == 404


def test_the_console_is_what_the_host_sent(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    from lanekeeper.control.host.console import console_store

    server_id = make(http, asked)
    host_id = world.hosts[show(http, server_id)["OS-EXT-SRV-ATTR:host"]]
    console_store(world.site, host_id, server_id, "one\ntwo\nthree\n")
    for length, output in ((None, "one\ntwo\nthree\n"), (2, "two\nthree"), ("1", "three")):
        body = {"os-getConsoleOutput": {"length": length}}
        answer = http.post(f"{URL}/servers/{server_id}/action", json=body)
        assert answer.json() == {"output": output}


def test_a_deleted_server_is_gone_when_its_host_says_so(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    server_id = make(http, asked)
    world.obey()
    assert http.delete(f"{URL}/servers/{server_id}").status_code == 204
    assert http.delete(f"{URL}/servers/{server_id}").status_code == 204
    assert show(http, server_id)["OS-EXT-STS:task_state"] == "deleting"
    world.obey()
    assert http.get(f"{URL}/servers/{server_id}").status_code == 404
    events = http.get(f"{URL}/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    assert [event["action"] for event in events] == ["delete", "create"]


# Parts --------------------------------------------------------------------------------------------


def test_metadata_and_tags_are_kept(http: TestClient, asked: dict[str, Any]) -> None:
    server = f"{URL}/servers/{make(http, asked, metadata={'a': '1'})}"
    more = http.post(f"{server}/metadata", json={"metadata": {"b": "2"}})
    assert more.json() == {"metadata": {"a": "1", "b": "2"}}
    assert http.get(f"{server}/metadata/b").json() == {"meta": {"b": "2"}}
    assert http.put(f"{server}/metadata/b", json={"meta": {"c": "3"}}).status_code == 400
    assert http.delete(f"{server}/metadata/b").status_code == 204
    assert http.delete(f"{server}/metadata/b").status_code == 404
    assert http.put(f"{server}/tags", json={"tags": ["x", "x", "y"]}).json() == {"tags": ["x", "y"]}
    assert http.get(f"{server}/tags/x").status_code == 204
    assert http.get(f"{server}/tags/z").status_code == 404
    assert http.put(f"{server}/tags/z").status_code == 201
    made = http.put(f"{server}/tags/\u732b")  # a header has ASCII only
    assert (made.status_code, made.headers["location"].rpartition("/")[2]) == (201, "%E7%8C%AB")
    assert http.delete(f"{server}/tags/\u732b").status_code == 204
    assert http.delete(f"{server}/tags").status_code == 204
    assert http.get(f"{server}/tags").json() == {"tags": []}


def test_a_card_comes_and_goes_by_the_api(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    network_id, port = world.network(), world.port(world.network("other", vlan=16))
    cards = f"{URL}/servers/{make(http, asked, networks='none')}/os-interface"
    world.obey()
    for body, status in (
        ({"port_id": port.id}, 200),
        ({"net_id": network_id}, 200),
        ({"port_id": port.id}, 409),
        ({"port_id": port.id, "net_id": network_id}, 400),
        ({"net_id": network_id, "fixed_ips": [{"ip_address": "nonsense"}]}, 400),
        ({"net_id": "nowhere"}, 400),
        ({}, 400),
    ):
        told = http.post(cards, json={"interfaceAttachment": body})
        assert told.status_code == status, told.text
    world.obey()
    listed = http.get(cards).json()["interfaceAttachments"]
    assert [card["port_state"] for card in listed] == ["ACTIVE", "ACTIVE"]
    assert http.delete(f"{cards}/{port.id}").status_code == 202
    assert len(http.get(cards).json()["interfaceAttachments"]) == 2
    assert http.delete(f"{cards}/{network_id}").status_code == 404


def test_what_clients_ask_in_passing_is_answered(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    network_id = world.network()
    server = f"{URL}/servers/{make(http, asked, networks=[{'uuid': network_id}])}"
    world.obey()
    (card,) = http.get(f"{server}/os-interface").json()["interfaceAttachments"]
    assert (card["net_id"], card["port_state"]) == (network_id, "ACTIVE")
    assert http.get(f"{server}/os-interface/{card['port_id']}").status_code == 200
    assert http.get(f"{server}/os-interface/none").status_code == 404
    assert http.post(f"{server}/os-interface", json={}).status_code == 400
    assert http.get(f"{server}/ips").json()["addresses"]["web"][0]["version"] == 4
    assert http.get(f"{server}/ips/none").status_code == 404
    assert http.get(f"{server}/os-security-groups").json() == {"security_groups": []}
    assert http.get(f"{server}/os-volume_attachments").json() == {"volumeAttachments": []}
    assert http.get(f"{server}/diagnostics").status_code == 501
    assert http.get(f"{server}/migrations").json() == {"migrations": []}


def test_a_group_that_nobody_would_enforce_is_refused_for_a_network(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    """A port of one's own keeps its own groups, as Nova has it; so the server's do not matter."""
    group_id = world.security_group("web")
    network = world.network()
    named = asked | {"security_groups": [{"name": "web"}]}
    refused = http.post(
        f"{URL}/servers", json={"server": named | {"networks": [{"uuid": network}]}}
    )
    assert refused.status_code == 400
    assert f"security group {group_id} would not be enforced" in message(refused)
    make(http, named, networks=[{"port": world.port(network).id}])


def test_what_became_of_a_request_is_told_with_its_reason(
    world: Fleet, http: TestClient, asked: dict[str, Any]
) -> None:
    server_id = make(http, asked)
    world.report(server_id, "failed", problem="the IOMMU is off")
    events = http.get(f"{URL}/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    request_id = events[0]["request_id"]
    assert events[0]["message"] == "Error"
    shown = http.get(f"{URL}/servers/{server_id}/os-instance-actions/{request_id}").json()
    (happening,) = shown["instanceAction"]["events"]
    assert (happening["result"], happening["details"]) == ("Error", "the IOMMU is off")
