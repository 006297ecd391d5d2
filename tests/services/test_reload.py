"""SIGHUP to each program that serves: what it takes over, what it keeps, what it refuses."""

from __future__ import annotations

import os
import pty
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.controller import TOKEN, Controller, serving
from running import LANEKEEPER, Process, running, until

pytestmark = pytest.mark.service

VF = '"vendor_id": "8086", "product_id": "10ca"'
FIRST = f'[pci]\ndevice_spec = {{{VF}, "address": "0000:21:*", "physical_network": "physnet1"}}\n'
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
    with http() as client:
        devices = client.get("/lanekeeper/v1/devices").json()["devices"]
    return {one["address"][:7] for one in devices if one["listed"]}


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
