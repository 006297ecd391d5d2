"""Directories that apply made for files of a policy go with them, and no others."""

from pathlib import Path

import pytest

from host.planted import PF, simulated
from lanekeeper.main import main

KEPT = f'version: 1\npfs: [{{pf: "{PF}", vfs: 2}}]\nmodule_options: {{kvm: [halt_poll_ns=0]}}\n'
GONE = "version: 1\npersist: false\n"
MADE = ("etc/lanekeeper", "etc/systemd/system/multi-user.target.wants", "etc/modprobe.d")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    simulated(tmp_path)
    (tmp_path / "usr/lib/systemd").mkdir(parents=True, exist_ok=True)
    (tmp_path / "usr/lib/systemd/systemd").touch()
    return tmp_path


def call(root: Path, verb: str, policy: str = "", *words: str) -> int:
    if policy:
        (root / "policy.yaml").write_text(policy)
        words = ("--policy", str(root / "policy.yaml"), *words)
    return main(["host", verb, "--simulate", str(root), *words])


def there(root: Path) -> set[str]:
    return {name for name in MADE if (root / name).is_dir()}


def below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in (root / "etc").rglob("*")}


def test_what_is_not_kept_any_more_leaves_no_directory_behind(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, found = there(root), below(root)
    assert before != set(MADE)
    assert call(root, "apply", KEPT) == 0
    assert there(root) == set(MADE)
    kept = below(root)
    assert call(root, "apply", GONE) == 0
    assert below(root) == found
    assert call(root, "plan", GONE) == 0
    capsys.readouterr()
    assert call(root, "rollback") == 0
    assert below(root) == kept
    assert call(root, "apply", GONE) == 0
    assert call(root, "rollback", "", "--to", "0") == 0
    assert below(root) == found


def test_a_directory_that_somebody_uses_or_has_made_stays(root: Path) -> None:
    (root / "etc/lanekeeper").mkdir(parents=True)
    assert call(root, "apply", KEPT) == 0
    theirs = root / "etc/systemd/system/multi-user.target.wants/ssh.service"
    theirs.write_text("")
    assert call(root, "apply", GONE) == 0
    assert (root / "etc/lanekeeper").is_dir()
    assert theirs.exists()
    assert call(root, "plan", GONE) == 0


def test_a_directory_with_a_file_that_is_still_wanted_stays(root: Path) -> None:
    assert call(root, "apply", KEPT) == 0
    assert call(root, "apply", f"{KEPT}persist: false\n") == 0
    assert (root / "etc/modprobe.d/lanekeeper.conf").exists()
    assert not (root / "etc/systemd/system/lanekeeper-host.service").exists()


def test_an_image_has_none_left_either(tmp_path: Path) -> None:
    root = tmp_path / "image"
    for name in ("usr/lib/systemd/systemd", "usr/bin/lanekeeper", "etc/os-release"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    before = below(root)
    for policy in (KEPT, GONE):
        (tmp_path / "policy.yaml").write_text(policy)
        words = ("--root", str(root), "--offline", "--policy", str(tmp_path / "policy.yaml"))
        assert main(["host", "apply", *words]) == 0
    assert below(root) == before
