import json
from pathlib import Path
from typing import Any

import pytest

from config_cases import write_files
from host.planted import CAPTURED_LAB
from lanekeeper.main import main

VF = '"vendor_id": "8086", "product_id": "10ca"'
CLEAN = f'[pci]\ndevice_spec = {{{VF}, "physical_network": "physnet1"}}\n'
OLD = f'[DEFAULT]\npci_passthrough_whitelist = {{{VF}, "physical_network": "physnet1"}}\n'
WRONG = "[pci]\ndevice_spec = {}\n"


def check(directory: Path, text: str, *options: str) -> int:
    files = [str(path) for path in write_files(text, directory)]
    return main(["config", "check", *files, *options])


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (CLEAN, (), 0),
        (CLEAN, ("--strict",), 0),
        (OLD, (), 0),
        (OLD, ("--strict",), 1),
        (WRONG, (), 1),
        (CLEAN + "==> custom.yml <==\na: [\n", (), 2),
        (WRONG + "==> custom.yml <==\na: [\n", ("--json",), 2),
    ],
)
def test_exit_codes_fit_ci(tmp_path: Path, text: str, options: tuple[str, ...], code: int) -> None:
    assert check(tmp_path, text, *options) == code


def test_the_text_has_meaning_finding_and_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(tmp_path, OLD + "[database]\nconnection = x\n")
    out = capsys.readouterr().out
    assert "      2  [pci] device_spec: devices 8086:10ca, for ports on physnet1\n" in out
    assert "1 other keys say nothing here." in out
    assert "      2  WARNING  key-old: [DEFAULT] pci_passthrough_whitelist is an old name\n" in out
    assert "          right  [pci] device_spec = ...\n" in out
    assert out.endswith("0 error, 1 warning, 0 info\n")


def test_a_captured_host_says_what_comes_of_each_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        '[pci]\ndevice_spec = {"vendor_id": "8086", "product_id": "10c9"}\n'
        'device_spec = {"address": "0000:99:00.0", "product_id": "10c9"}\n'
        'alias = {"name": "pf", "vendor_id": "8086", "product_id": "10c9", '
        '"device_type": "type-PF"}\n'
    )
    assert check(tmp_path, text, "--root", str(CAPTURED_LAB), "--json") == 0
    host = said(capsys)["host"]
    first, second = host["device_spec"]
    assert first["lists"] == ["0000:21:00.0", "0000:41:00.0"]
    assert second["nearest"] == {
        "address": "0000:21:00.0",
        "reasons": ["address 0000:21:00.0 is not covered"],
    }
    assert host["alias"] == [
        {
            "name": "pf",
            "devices": ["0000:21:00.0", "0000:41:00.0"],
            "nearest": None,
            "unlisted": [],
        }
    ]


def test_the_management_nic_of_a_captured_host_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '[pci]\ndevice_spec = {"address": "0000:00:03.0"}\n'
    assert check(tmp_path, text, "--root", str(CAPTURED_LAB)) == 1
    assert "host-management-nic: lists 0000:00:03.0 (enp0s3)" in capsys.readouterr().out


def test_a_root_that_is_no_capture_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path, CLEAN, "--root", str(tmp_path / "nova.conf")) == 2
    assert "no captured tree" in capsys.readouterr().err


def convert(directory: Path, text: str, *options: str) -> int:
    files = [str(path) for path in write_files(text, directory)]
    return main(["config", "convert", *files, *options])


def test_converted_files_are_printed_or_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(tmp_path, OLD) == 0
    assert capsys.readouterr().out.startswith("==> nova.conf <==\n[pci]\ndevice_spec = ")
    new = tmp_path / "new"
    assert convert(tmp_path, OLD, "--output", str(new)) == 0
    assert capsys.readouterr().out == f"wrote {new}/nova.conf\n"
    assert (new / "nova.conf").read_text() == CLEAN
    assert convert(tmp_path, OLD, "--output", str(new)) == 2
    assert f"cannot write {new}/nova.conf: File exists" in capsys.readouterr().err


def test_what_waits_for_a_decision_is_said_and_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        "[pci]\nalias = x\n[sriov_nic]\nphysical_device_mappings = p:ens1\n"
        "exclude_devices = ens2:0000:3b:10.0\n"
    )
    assert convert(tmp_path, text) == 1
    err = capsys.readouterr().err
    assert "nova.conf:2: 'x' is not JSON, nor nearly" in err
    assert "a start still refuses this: sriov_agent.ini:3: [sriov_nic] exclude_devices" in err


def test_a_file_that_cannot_be_read_converts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "convert", str(tmp_path / "none.conf")]) == 2
    assert "none.conf cannot be read" in capsys.readouterr().err


def test_what_is_wrong_in_todays_form_too_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(tmp_path, WRONG + "[pci] # cards\nreport_in_placement = true\n") == 1
    out, err = capsys.readouterr()
    assert (
        out == "==> nova.conf <==\n[pci]\ndevice_spec = {}\n# cards\nreport_in_placement = true\n\n"
    )
    found, refused, *_ = err.splitlines()
    assert found.startswith("warning: check still finds in nova.conf:2: spec-selects-all: ")
    assert refused.startswith("warning: a start still refuses this: nova.conf:2: ")
