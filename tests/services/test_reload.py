"""SIGHUP to each program that serves: what it takes over, what it keeps, what it refuses."""

from __future__ import annotations

import os
import pty
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.controller import TOKEN, Controller, serving
from running import LANEKEEPER, Process, running, until

pytestmark = pytest.mark.service

VF = '"vendor_id": "8086", "product_id": "10ca"'
PORTS = ', "physical_network": "physnet1"'
FIRST = f'[pci]\ndevice_spec = {{{VF}, "address": "0000:21:*"{PORTS}}}\n'
ALIAS = f'alias = {{"name": "nic", {VF}}}\n'
SECOND = f'device_spec = {{{VF}, "address": "0000:41:*", "physical_network": "physnet1"}}\n'


def hang_up(process: Process, answer: str) -> dict[str, Any]:
    """Send SIGHUP; return the first line with event *answer* that is new in the log."""
    before = process.logged(answer)
    os.kill(process.pid, signal.SIGHUP)
    line: dict[str, Any] = until(lambda: process.logged(answer)[len(before) :], f"a line {answer}")[
        0
    ]
    return line


def test_a_running_controller_and_its_hosts_take_over_what_can_change(tmp_path: Path) -> None:
    config, rules = tmp_path / "nova.conf", tmp_path / "rules.yaml"
    config.write_text(f"{FIRST}[oslo_policy]\npolicy_file = rules.yaml\n")
    rules.write_text("")
    with running(tmp_path / "state", config_files=[config]) as instance:
        with instance.http() as http:
            assert http.get("/compute/v2.1/servers").status_code == 200
        assert listed(instance.http) == {"0000:21"}

        rules.write_text('"os_compute_api:servers:index": "!"\n')
        config.write_text(
            f"{FIRST}{ALIAS}{SECOND}[oslo_policy]\npolicy_file = rules.yaml\n"
            "[lanekeeper]\nregion = Elsewhere\n"
        )
        told = hang_up(instance.process, "config.reloaded")
        assert {"[pci] device_spec", "[pci] alias"} == set(told["changed"])
        (kept,) = instance.process.logged("config.kept")
        assert kept["outcome"].startswith("[lanekeeper] region has changed, which only a restart")
        with instance.http() as http:
            assert http.get("/compute/v2.1/servers").status_code == 403
        until(lambda: listed(instance.http) == {"0000:21", "0000:41"}, "the hosts' new devices")


def listed(http: Any) -> set[str]:
    mine = (
        one
        for one in devices(http)
        if one["listed"] and one["state"] not in ("missing", "unlisted")
    )
    return {one["address"][:7] for one in mine}


def test_what_is_wrong_changes_nothing_and_is_said(tmp_path: Path) -> None:
    config, rules = tmp_path / "nova.conf", tmp_path / "rules.yaml"
    right = f"{FIRST}[oslo_policy]\npolicy_file = rules.yaml\n"
    config.write_text(right)
    rules.write_text("")
    with running(tmp_path / "state", config_files=[config]) as instance:
        config.write_text(f"{FIRST}device_spec = {{{VF}, \n")
        refused = hang_up(instance.process, "config.refused")
        assert "nova.conf:3" in refused["error"]
        pf_too = 'device_spec = {"vendor_id": "8086", "product_id": "10c9"}\n'
        config.write_text(f"[pci]\ndevice_spec = {{{VF}}}\n{pf_too}")
        assert "nova.conf:3" in hang_up(instance.process, "config.refused")["error"]
        config.write_text(right)
        rules.write_text('"os_compute_api:servers:crate": "!"\n')
        assert (
            "rules.yaml:1: there is no rule" in hang_up(instance.process, "config.refused")["error"]
        )
        config.unlink()
        assert "nova.conf" in hang_up(instance.process, "config.refused")["error"]
        assert listed(instance.http) == {"0000:21"}
        config.write_text(right)
        rules.unlink()
        assert "rules.yaml" in hang_up(instance.process, "config.refused")["error"]
        with instance.http() as http:
            assert http.get("/compute/v2.1/servers").status_code == 200


def test_placement_alone_reads_its_rules_again(tmp_path: Path) -> None:
    config, rules = tmp_path / "placement.conf", tmp_path / "policy.yaml"
    text = "[api]\nauth_strategy = noauth2\n[oslo_policy]\npolicy_file = policy.yaml\n"
    config.write_text(text)
    rules.write_text('"placement:traits:list": "!"\n')
    at = ["--state-dir", str(tmp_path / "state"), "--listen", "127.0.0.1:0"]
    process = Process(
        [LANEKEEPER, "placement", *at, "--config-file", str(config)], tmp_path / "log"
    )
    headers = {"X-Auth-Token": "admin", "OpenStack-API-Version": "placement 1.39"}
    try:
        with httpx.Client(base_url=process.line("ready "), headers=headers) as http:
            assert http.get("/traits").status_code == 403
            rules.write_text("")
            config.write_text(text + "[cors]\nallowed_origin = https://horizon.example\n")
            hang_up(process, "config.reloaded")
            assert http.get("/traits").status_code == 200
            assert "[cors] allowed_origin" in process.logged("config.kept")[0]["outcome"]
        assert process.stop() == 0
    finally:
        process.kill()


def test_an_agent_looks_with_other_eyes(tmp_path: Path) -> None:
    config = tmp_path / "nova.conf"
    config.write_text(FIRST)
    controller = Controller()
    at = ["--state-dir", str(tmp_path / "agent")]
    with serving(controller):
        enroll = [LANEKEEPER, "agent", "enroll", "--controller", controller.url, "--token", TOKEN]
        assert Process([*enroll, *at, "--host-name", "sim-1"], tmp_path / "enroll").wait(30) == 0
        words = ["agent", "run", "--simulate", "--config-file", str(config)]
        process = Process([LANEKEEPER, *words, *at], tmp_path / "log")

        def told() -> int:
            facts = controller.facts.get(controller.host_ids["sim-1"])
            return sum(one.listed for one in facts.devices) if facts else 0

        try:
            until(lambda: told() == 7, "7 devices")
            config.write_text(FIRST + "device_spec = {}{}\n")
            assert "nova.conf:3" in hang_up(process, "config.refused")["error"]
            config.write_text(FIRST + SECOND)
            hang_up(process, "config.reloaded")
            until(lambda: told() == 14, "14 devices")
            with controller.changed:
                controller.closing = True
                controller.changed.notify_all()
            assert process.stop() == 0
        finally:
            process.kill()


def test_a_terminal_that_has_gone_ends_it(tmp_path: Path) -> None:
    at = ["--state-dir", str(tmp_path / "state"), "--listen", "127.0.0.1:0"]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(LANEKEEPER, [LANEKEEPER, "controller", *at])  # our own program
    try:
        told = b""
        while b"ready http" not in told:
            told += os.read(terminal, 4096)
        os.kill(child, signal.SIGHUP)
        while b"config.reloaded" not in told:
            told += os.read(terminal, 4096)
    finally:
        os.close(terminal)
    ended: list[int] = []

    def has_ended() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        ended[:] = [status]
        return pid == child

    until(has_ended, "its end")
    assert not (tmp_path / "state" / "lanekeeper.db-wal").exists()  # closed, not killed


def test_filters_change_and_a_held_device_stays_its_guests(tmp_path: Path) -> None:
    config = tmp_path / "nova.conf"
    config.write_text(f"{FIRST.replace(PORTS, '')}{ALIAS}")
    with running(tmp_path / "state", config_files=[config]) as instance:
        compute, image = instance.sdk.compute, instance.sdk.image
        flavor = compute.create_flavor(name="nic", ram=64, vcpus=1, disk=1)
        compute.create_flavor_extra_specs(flavor, {"pci_passthrough:alias": "nic:1"})
        base = image.create_image(
            name="base", data=b"x" * 512, disk_format="raw", container_format="bare", wait=True
        )

        def made(name: str) -> Any:
            body = {"image_id": base.id, "flavor_id": flavor.id, "networks": "none"}
            return compute.create_server(name=name, **body)

        server = compute.wait_for_server(made("first"), interval=0.1, wait=30)
        config.write_text(
            f"[pci]\n{SECOND}"
            "[filter_scheduler]\nenabled_filters = NumInstancesFilter\n"
            "max_instances_per_host = 1\npci_weight_multiplier = 3\n"
        )
        told = hang_up(instance.process, "config.reloaded")
        assert set(told["changed"]) == {
            *("[pci] device_spec", "[pci] alias"),
            *(f"[filter_scheduler] {key}" for key in ("enabled_filters", "max_instances_per_host")),
            "[filter_scheduler] pci_weight_multiplier",
        }
        until(lambda: listed(instance.http) == {"0000:41"}, "the hosts' new devices")
        assert held(instance.http) == [server.id]
        assert compute.get_server(server.id).status == "ACTIVE"
        (told,) = instance.process.logged("config.withdrawn")
        assert told["outcome"].startswith(
            "7 devices that were offered are offered no more: 0000:21"
        )
        assert re.search(r"0000:21:1\S+ by first$", told["outcome"])

        compute.delete_flavor_extra_specs_property(flavor.id, "pci_passthrough:alias")
        second = compute.wait_for_server(
            made("second"), status="ERROR", failures=[], interval=0.1, wait=30
        )
        assert "servers" in second.fault["message"]
        compute.delete_server(server.id)
        compute.wait_for_delete(server, interval=0.1, wait=30)
        assert held(instance.http) == []
        assert states(instance.http) == {"unlisted"}
        config.write_text(f"{FIRST.replace(PORTS, '')}{ALIAS}")
        hang_up(instance.process, "config.reloaded")
        until(lambda: states(instance.http) == {"available"}, "it is listed again, and clean")


def devices(http: Any) -> list[dict[str, Any]]:
    with http() as client:
        told: list[dict[str, Any]] = client.get("/lanekeeper/v1/devices").json()["devices"]
    return told


def held(http: Any) -> list[str]:
    return [one["holder"] for one in devices(http) if one["holder"]]


def states(http: Any) -> set[str]:
    """Of the VFs that the first configuration lists."""
    mine = (one for one in devices(http) if one["address"].startswith("0000:21"))
    return {one["state"] for one in mine if one["dev_type"] == "type-VF"}


def test_a_card_that_a_guest_holds_is_turned_by_neither_reload_nor_start(tmp_path: Path) -> None:
    """One truth: the agent goes on with what the controller knows, and says why."""
    config = tmp_path / "nova.conf"
    config.write_text(f"{FIRST.replace(PORTS, '')}{ALIAS}")
    turned = (
        '[pci]\ndevice_spec = {"vendor_id": "8086", "product_id": "10c9", '
        f'"address": "0000:21:00.*"}}\n{SECOND}{ALIAS}'
    )
    why = (
        r"entry 1 \(.*nova.conf:2\) lists PF 0000:21:00.0, of which guests hold {held}, which "
        r"entry 1 \(.*nova.conf:2\) listed: {by}"
    )
    web, second = r"0000:21:1\S+ by web", r"0000:21:1\S+ by second"
    with running(tmp_path / "state", config_files=[config]) as instance:
        compute = instance.sdk.compute
        flavor = compute.create_flavor(name="nic", ram=64, vcpus=1, disk=1)
        compute.create_flavor_extra_specs(flavor, {"pci_passthrough:alias": "nic:1"})
        base = instance.sdk.image.create_image(
            name="base", data=b"x" * 512, disk_format="raw", container_format="bare", wait=True
        )
        body = {"image_id": base.id, "flavor_id": flavor.id, "networks": "none"}
        server = compute.create_server(name="web", **body)
        compute.wait_for_server(server, interval=0.1, wait=30)
        config.write_text(turned)
        refused = hang_up(instance.process, "config.refused")
        assert re.search(why.format(held="1 VF", by=web), refused["error"])
        assert "or delete web first" in refused["error"]
        later = compute.create_server(name="second", **body)  # as it was, on both sides
        assert compute.wait_for_server(later, interval=0.1, wait=30).status == "ACTIVE"
        assert listed(instance.http) == {"0000:21"}
    again = Process(instance.process.arguments, tmp_path / "again")
    try:
        assert again.wait(60) == 1
        either = f"({web}, {second}|{second}, {web})"
        assert re.search(why.format(held="2 VFs", by=either), again.errors)
        assert "ready" not in again.output
    finally:
        again.kill()
