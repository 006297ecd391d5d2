"""``lanekeeper simulate``: a fleet that enrols, suffers and ends, at a controller that runs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from running import LANEKEEPER, Instance, Process, until

pytestmark = pytest.mark.service


@contextmanager
def fleet(instance: Instance, home: Path, *arguments: str) -> Iterator[Process]:
    """A fleet of three in two processes, for as long as the block lasts; Ctrl-C ends it."""
    words = [LANEKEEPER, "simulate", "--hosts", "3", "--processes", "2", "--prefix", "f"]
    process = Process(
        [*words, "--state-dir", str(home), *arguments], home.with_name("log"), instance.environment
    )
    try:
        process.line("ready 3 hosts in 2 processes")
        yield process
        process.interrupt()
        assert process.wait() == 0, process.errors[-2000:]
    finally:
        process.kill()


def hosts(instance: Instance) -> dict[str, dict[str, Any]]:
    with instance.http() as http:
        told = http.get("/lanekeeper/v1/hosts").json()["hosts"]
    return {one["name"]: one for one in told if one["name"].startswith("f-")}


def devices(instance: Instance, host: str) -> dict[str, dict[str, Any]]:
    with instance.http() as http:
        told = http.get("/lanekeeper/v1/devices", params={"host": host}).json()["devices"]
    return {one["address"]: one for one in told}


def test_hosts_suffer_what_was_asked_for_and_come_back(fresh: Instance, tmp_path: Path) -> None:
    home = tmp_path / "fleet"
    often = ["--fail", "vanish:0.4", "--fail", "link:0.4", "--fail", "slow:0.4"]
    with fleet(fresh, home, *often, "--fail-lasts", "0.5", "--seed", "7") as process:
        found = hosts(fresh)
        assert {name: one["alive"] for name, one in found.items()} == dict.fromkeys(
            ("f-1", "f-2", "f-3"), True
        )
        assert len(devices(fresh, "f-2")) == 21
        for said in ("vanishes, for", "the link of", "takes 5 s, for", "is well again"):
            until(partial(_says, process, said), said)
        ids = {name: one["id"] for name, one in found.items()}
    states = {one["state"] for name in ids for one in devices(fresh, name).values()}
    assert states <= {"available", "missing"}
    with fleet(fresh, home, "--fail", "kill:0.3", "--fail-lasts", "0.2") as process:
        until(lambda: "are killed for" in process.output, "a kill")
        until(lambda: "are started again" in process.output, "the agents' return")
        assert {name: one["id"] for name, one in hosts(fresh).items()} == ids
    assert "enrolling" not in process.output


def test_a_guest_has_its_host_planted_and_the_others_stay_alike(
    fresh: Instance, tmp_path: Path
) -> None:
    home = tmp_path / "fleet"
    with fleet(fresh, home):
        sdk = fresh.sdk
        flavor = sdk.compute.create_flavor(name="nic", ram=64, vcpus=1, disk=1)
        sdk.compute.create_flavor_extra_specs(flavor, {"pci_passthrough:alias": "a1:1"})
        image = sdk.image.create_image(
            name="i", data=b"x" * 512, disk_format="raw", container_format="bare", wait=True
        )
        made = sdk.compute.create_server(
            name="s",
            image_id=image.id,
            flavor_id=flavor.id,
            networks="none",
            host="f-3",
        )
        sdk.compute.wait_for_server(made, interval=0.1, wait=30)
        planted = [path.parent.name for path in (home / "hosts").glob("*/machine")]
        assert planted == ["f-3"]
        sdk.compute.delete_server(made)
        until(
            lambda: {one["state"] for one in devices(fresh, "f-3").values()} == {"available"},
            "its device to be clean",
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hosts", "0"], "--hosts is 1 to 10000, not 0"),
        (["--hosts", "2", "--processes", "3"], "--processes is 1 to 2 for 2 hosts, not 3"),
        (["--hosts", "1", "--fail", "flood:9"], "one of kill, vanish, link, slow"),
        (["--hosts", "1", "--fail", "kill:0"], "a number above 0"),
        (["--hosts", "1", "--prefix", "a b"], "--prefix 'a b' is not letters"),
        (["--hosts", "1", "--for", "nan"], "--for is a number of seconds above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], said: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [LANEKEEPER, "simulate", *words, "--state-dir", str(tmp_path / "fleet")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 2
    assert said in ended.stderr
    assert not (tmp_path / "fleet").exists()


def _says(process: Process, what: str) -> bool:
    return what in process.output
