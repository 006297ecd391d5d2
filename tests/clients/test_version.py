"""Discovery: what a client finds before it asks for anything."""

import pytest

from running import BIN, Instance

pytestmark = pytest.mark.client


def test_versions_of_every_service_are_announced(shared: Instance) -> None:
    rows = shared.openstack("versions", "show")
    ranges = {
        row["Service Type"]: (row["Min Microversion"], row["Max Microversion"])
        for row in rows
        if row["Status"] == "CURRENT"
    }
    assert ranges["compute"] == ("2.1", "2.100")
    assert ranges["placement"] == ("1.0", "1.39")
    assert ranges.keys() >= {"identity", "image", "network"}


def test_the_catalog_lists_all_five_services_on_the_one_port(shared: Instance) -> None:
    rows = shared.openstack("catalog", "list")
    assert {row["Type"] for row in rows} >= {
        "identity",
        "compute",
        "network",
        "image",
        "placement",
    }
    for row in rows:
        assert {endpoint["interface"] for endpoint in row["Endpoints"]} == {
            "public",
            "internal",
            "admin",
        }
        assert all(endpoint["url"].startswith(shared.url) for endpoint in row["Endpoints"])


@pytest.mark.parametrize("path", ["/identity/v3", "/identity/v3/", "/identity", "/identity/", ""])
def test_any_usual_spelling_of_the_login_url_works(shared: Instance, path: str) -> None:
    token = shared.openstack("token", "issue", "--os-auth-url", shared.url + path)
    assert token["id"]


def test_the_rc_file_is_enough_for_a_shell(shared: Instance) -> None:
    from subprocess import run

    command = f". {shared.state_dir}/openrc && {BIN}/openstack token issue -f value -c id"
    ended = run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip()


def test_a_microversion_beyond_the_range_is_refused_by_name(shared: Instance) -> None:
    with shared.http(**{"OpenStack-API-Version": "compute 2.101"}) as http:
        answer = http.get("/compute/v2.1/servers")
    assert answer.status_code == 406
    assert "2.101" in answer.json()["computeFault"]["message"]


def test_extensions_of_network_and_compute_are_listed(shared: Instance) -> None:
    network = {row["Alias"] for row in shared.openstack("extension", "list", "--network")}
    assert network >= {"provider", "binding", "agent"}
    shared.openstack("extension", "list", "--compute")
