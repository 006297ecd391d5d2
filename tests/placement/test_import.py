"""A real Placement's inventory is copied into ours, and nothing is lost on the way."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from placement_servers import Line, Server, lanekeeper_placement, line, placement
from running import lanekeeper

pytestmark = pytest.mark.service

HOST, CARD, DISK = (f"{n}0000000-0000-4000-8000-000000000000" for n in "123")
GROUP, GUEST, OLD_GUEST = (f"{n}0000000-0000-4000-8000-000000000000" for n in "456")


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Server]:
    with placement(tmp_path / "peer", f"sqlite:///{tmp_path}/peer.db") as server:
        with line(server) as asking:
            fill(asking)
        yield server


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Server]:
    with lanekeeper_placement(tmp_path / "ours") as server:
        yield server


def fill(asking: Line) -> None:
    def done(method: str, path: str, body: object = None, version: str = "1.39") -> None:
        answer = asking.ask(method, path, body, version)
        assert answer.status < 300, answer.content

    done("PUT", "/resource_classes/CUSTOM_PCI_8086_10CA")
    done("PUT", "/traits/CUSTOM_PHYSNET_A")
    trees = ((HOST, "host", None), (CARD, "card", HOST), (DISK, "disk", None))
    stock = {HOST: {"VCPU": 8, "MEMORY_MB": 4096}, CARD: {"CUSTOM_PCI_8086_10CA": 7}}
    stock[DISK] = {"DISK_GB": 100}
    traits = {HOST: [], CARD: ["CUSTOM_PHYSNET_A"], DISK: ["MISC_SHARES_VIA_AGGREGATE"]}
    for uuid, name, parent in trees:
        body = {"uuid": uuid, "name": name, "parent_provider_uuid": parent}
        done("POST", "/resource_providers", body)
        records = {kind: {"total": total, "reserved": 1} for kind, total in stock[uuid].items()}
        path = f"/resource_providers/{uuid}"
        now = {"resource_provider_generation": 0}
        done("PUT", f"{path}/inventories", {**now, "inventories": records})
        done("PUT", f"{path}/traits", {"resource_provider_generation": 1, "traits": traits[uuid]})
        generation = 2 if traits[uuid] else 1
        members = {"resource_provider_generation": generation, "aggregates": [GROUP]}
        done("PUT", f"{path}/aggregates", members)
    whose = {"project_id": "p", "user_id": "u", "consumer_generation": None}
    shares = {HOST: {"resources": {"VCPU": 2}}, CARD: {"resources": {"CUSTOM_PCI_8086_10CA": 1}}}
    typed = {"allocations": shares, "consumer_type": "INSTANCE", **whose}
    done("PUT", f"/allocations/{GUEST}", typed)
    untyped = {"allocations": {HOST: {"resources": {"VCPU": 1}}}, **whose}
    done("PUT", f"/allocations/{OLD_GUEST}", untyped, "1.37")


def token_file(directory: Path) -> str:
    path = directory / "token"
    path.write_text("admin\n")
    return str(path)


def inventory(*arguments: str) -> subprocess.CompletedProcess[str]:
    return lanekeeper("inventory", *arguments)


def into(ours: Server, tmp_path: Path) -> list[str]:
    return ["--target", ours.url, "--target-token-file", token_file(tmp_path)]


def test_an_inventory_is_copied_and_is_the_same(peer: Server, ours: Server, tmp_path: Path) -> None:
    asked = ["import", "--placement", peer.url, "--placement-token-file", token_file(tmp_path)]
    asked += into(ours, tmp_path)
    for _ in range(2):  # the second time there is nothing left to do
        done = inventory(*asked)
        assert (done.returncode, done.stdout) == (
            0,
            "3 providers and 2 consumers are the same on both sides\n",
        ), done.stderr
    query = "/allocation_candidates?resources=VCPU:1,DISK_GB:1,CUSTOM_PCI_8086_10CA:1"
    with line(peer) as theirs, line(ours) as mine:
        expected, found = theirs.ask("GET", query).body, mine.ask("GET", query).body
        assert found["provider_summaries"].keys() == expected["provider_summaries"].keys()
        assert len(found["allocation_requests"]) == len(expected["allocation_requests"]) == 1
        told = mine.ask("GET", f"/allocations/{OLD_GUEST}").body
        assert told["consumer_type"] == "unknown"


def test_a_document_goes_out_and_in_again(peer: Server, ours: Server, tmp_path: Path) -> None:
    file = tmp_path / "inventory.json"
    where = ["--placement", peer.url, "--placement-token-file", token_file(tmp_path)]
    assert inventory("export", *where, "--output", str(file)).returncode == 0
    document = json.loads(file.read_text())
    assert [one["name"] for one in document["providers"]] == ["host", "card", "disk"]
    done = inventory("import", "--file", str(file), *into(ours, tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_does_not_fit_is_told_and_left_out(peer: Server, ours: Server, tmp_path: Path) -> None:
    """Placement can have sold more than there is; ours never takes a step above capacity."""
    with line(peer) as asking:
        path = f"/resource_providers/{CARD}/inventories/CUSTOM_PCI_8086_10CA"
        generation = asking.ask("GET", f"/resource_providers/{CARD}").body["generation"]
        body = {"total": 1, "reserved": 1, "resource_provider_generation": generation}
        assert asking.ask("PUT", path, body).status == 200
    asked = ["import", "--placement", peer.url, "--placement-token-file", token_file(tmp_path)]
    done = inventory(*asked, *into(ours, tmp_path))
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith(f"consumer {GUEST} is left out: PUT ")
    assert second == f"consumer {GUEST} is missing"


def test_bad_input_is_named(ours: Server, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"providers": [{"uuid": "x"}]}')
    token = tmp_path / "token"
    token.write_text("gAAAAA\n")
    for arguments, code, message in (
        (["import", "--file", str(bad)], 2, f"{bad}: not an exported inventory"),
        (["import", "--file", str(tmp_path / "no")], 2, "cannot be read"),
        (["import", "--placement", "http://127.0.0.1:1"], 2, "--placement-token-file"),
        (
            ["import", "--placement", "http://127.0.0.1:1", "--placement-token-file", str(token)],
            3,
            "does not answer",
        ),
        (
            ["import", "--placement", "http://127.0.0.1:1", "--placement-token-file", str(bad)],
            2,
            "holds no token",
        ),
    ):
        done = inventory(*arguments, *into(ours, tmp_path))
        assert (done.returncode, message in done.stderr) == (code, True), done.stderr
