"""A card that is another one than at the last apply is given away, or given VFs, only knowingly."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.planted import NVME, OTHER_PF, PF, simulated
from lanekeeper.host.simulated_bus import insert_card
from lanekeeper.main import main

DEVICE = f'version: 1\ndevices: [{{device: "{NVME}", alias: disk}}]\n'
PFS = f'version: 1\npfs: [{{pf: "{PF}", vfs: 2}}]\n'
ADDRESSES = {DEVICE: NVME, PFS: PF}


def call(root: Path, verb: str, policy: str, *words: str) -> int:
    (root / "policy.yaml").write_text(policy)
    if verb != "drift":
        words = ("--policy", str(root / "policy.yaml"), *words)
    return main(["host", verb, "--simulate", str(root), *words])


def exchange(root: Path, address: object, ids: str) -> None:
    """Put another card there."""
    uevent = root / "sys/bus/pci/devices" / str(address) / "uevent"
    lines = uevent.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("PCI_ID=", "MODALIAS="))]
    uevent.write_text("\n".join([*kept, f"PCI_ID={ids.upper()}"]) + "\n")


def ids(root: Path, address: object) -> str:
    lines = (root / "sys/bus/pci/devices" / str(address) / "uevent").read_text().splitlines()
    return next(line[7:].lower() for line in lines if line.startswith("PCI_ID="))


@pytest.fixture(params=[True, False], ids=["persist", "not kept"])
def kept(request: pytest.FixtureRequest) -> str:
    return "" if request.param else "persist: false\n"


@pytest.mark.parametrize("policy", [DEVICE, PFS], ids=["device", "PF"])
def test_another_card_at_the_address_is_refused_until_it_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], policy: str, kept: str
) -> None:
    simulated(tmp_path)
    address, text = ADDRESSES[policy], policy + kept
    old = ids(tmp_path, address)
    assert call(tmp_path, "apply", text) == 0
    exchange(tmp_path, address, "144d:a80a")
    for verb in ("plan", "check", "drift", "apply"):
        capsys.readouterr()
        assert call(tmp_path, verb, text) == 1, verb
        said = capsys.readouterr().out
        assert "device-replaced" in said, verb
        assert f"144d:a80a is at {address}, where the last apply found {old}" in said, verb
        assert "policy-holds" not in said
    assert f"`lanekeeper host apply --accept-replaced {address}`" in said
    assert call(tmp_path, "apply", text, "--accept-replaced", str(OTHER_PF)) == 1
    assert call(tmp_path, "apply", text, "--accept-replaced", str(address)) == 0
    assert call(tmp_path, "apply", text) == 0
    assert call(tmp_path, "plan", text) == 0


OLD, NEW = "00-1b-21-ff-ff-aa-01-01", "00-1b-21-ff-ff-aa-02-02"


def test_another_card_of_the_same_model_is_refused_until_it_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: str
) -> None:
    simulated(tmp_path)
    text = PFS + kept
    insert_card(tmp_path, PF, OLD)
    assert call(tmp_path, "apply", text) == 0
    insert_card(tmp_path, PF, NEW)
    insert_card(tmp_path, OTHER_PF, OLD)
    model = ids(tmp_path, PF)
    for verb in ("plan", "check", "drift", "apply"):
        capsys.readouterr()
        assert call(tmp_path, verb, text) == 1, verb
        said = capsys.readouterr().out
        assert "device-replaced" in said, verb
        assert f"{model} with serial number {NEW} is at {PF}" in said
        assert f"found {model} with serial number {OLD}" in said
        assert f"(that one is at {OTHER_PF} now)" in said
    assert f'or serial: "{NEW}" beside its address' in said
    assert call(tmp_path, "apply", text, "--accept-replaced", str(PF)) == 0
    assert call(tmp_path, "plan", text) == 0


def test_a_card_that_cannot_tell_its_number_now_is_not_another_one(tmp_path: Path) -> None:
    simulated(tmp_path)
    insert_card(tmp_path, PF, OLD)
    config = tmp_path / "sys/bus/pci/devices" / str(PF) / "config"
    assert call(tmp_path, "apply", PFS) == 0
    config.write_bytes(bytes(64))  # all that who is not root is shown
    assert call(tmp_path, "plan", PFS) == 0
    assert call(tmp_path, "apply", PFS.replace("vfs: 2", "vfs: 3")) == 0
    insert_card(tmp_path, PF, NEW)  # the number from before is still known
    assert call(tmp_path, "plan", PFS.replace("vfs: 2", "vfs: 3")) == 1


def test_another_of_the_kind_that_an_entry_means_is_told_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path)
    insert_card(tmp_path, PF, OLD)
    kind = f'{{address: "{PF}", ids: "{ids(tmp_path, PF)}"}}'
    text = f"version: 1\npfs: [{{pf: {kind}, vfs: 2}}]\n"
    assert call(tmp_path, "apply", text) == 0
    insert_card(tmp_path, PF, NEW)
    capsys.readouterr()
    assert call(tmp_path, "plan", text) == 0
    assert "device-exchanged" in capsys.readouterr().out
    assert call(tmp_path, "apply", text) == 0
    capsys.readouterr()
    assert call(tmp_path, "plan", text) == 0
    assert "device-exchanged" not in capsys.readouterr().out


def test_the_unit_does_not_bind_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulated(tmp_path)
    assert call(tmp_path, "apply", DEVICE) == 0
    exchange(tmp_path, NVME, "144d:a80a")
    driver = tmp_path / "sys/bus/pci/devices" / str(NVME) / "driver"
    driver.unlink()
    kept = tmp_path / "etc/lanekeeper/host-policy.yaml"
    where = ("--simulate", str(tmp_path), "--policy", str(kept), "--confirm-within", "0")
    assert main(["host", "apply", *where]) == 1
    assert "device-replaced" in capsys.readouterr().out
    assert not driver.is_symlink()


def test_an_entry_that_names_what_it_means_is_done(tmp_path: Path) -> None:
    simulated(tmp_path)
    assert call(tmp_path, "apply", DEVICE) == 0
    exchange(tmp_path, NVME, "144d:a80a")
    named = DEVICE.replace(f'"{NVME}"', f'{{address: "{NVME}", ids: "144d:a80a"}}')
    assert call(tmp_path, "apply", named) == 0
    assert call(tmp_path, "apply", DEVICE) == 0


def test_what_only_rules_of_a_release_before_know_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path)
    assert call(tmp_path, "apply", DEVICE) == 0
    for change in (tmp_path / "var/lib/lanekeeper-host/changes").glob("*.jsonl"):
        first, _, rest = change.read_text().partition("\n")
        assert '"devices":{' in first
        change.write_text(first.replace('"devices":{', '"then":{') + "\n" + rest)
    exchange(tmp_path, NVME, "144d:a80a")
    capsys.readouterr()
    assert call(tmp_path, "plan", DEVICE) == 1
    assert "device-replaced" in capsys.readouterr().out


def test_a_word_that_is_no_address_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path)
    with pytest.raises(SystemExit):
        call(tmp_path, "apply", DEVICE, "--accept-replaced", "ens1")
    assert "--accept-replaced: " in capsys.readouterr().err


def test_an_address_at_which_nothing_is_is_refused_with_what_was_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path)
    assert call(tmp_path, "apply", PFS) == 0
    wrong = "0000:12:00.0"
    near = f"near to it are {PF}, "
    for replaced, words in ((False, "no function was replaced; "), (True, f"replaced is {PF}; ")):
        if replaced:
            exchange(tmp_path, PF, "8086:1520")
        for more in ((), ("--dry-run",)):
            assert call(tmp_path, "apply", PFS, "--accept-replaced", wrong, *more) == 2
            said = capsys.readouterr().err
            assert f"--accept-replaced {wrong}: no PCI function has this address" in said
            assert words in said
            assert near in said
    assert call(tmp_path, "plan", PFS) == 1
    assert "device-replaced" in capsys.readouterr().out


def test_an_image_has_nothing_that_could_be_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--root", str(tmp_path), "--offline", "--accept-replaced", str(PF))
    assert main(["host", "apply", *words]) == 2
    assert "--accept-replaced: an image has no PCI functions" in capsys.readouterr().err
