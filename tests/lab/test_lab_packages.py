"""What is installed, and that nothing starts while it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.lab.packages import (
    newest_kernel,
    no_service_starts,
    parse_os_release,
    read_apt_sources,
    select_distribution,
)

FORBID = "#!/bin/sh\nexit 101\n"


@pytest.mark.parametrize(
    ("text", "name", "backports"),
    [
        ('ID=debian\nVERSION_ID="12"\n', "Debian 12", True),
        ('VERSION_ID="13"\nID=debian\n', "Debian 13", False),
        ("ID=ubuntu\nVERSION_ID='24.04'\n", "Ubuntu 24.04", False),
    ],
)
def test_known_distributions(text: str, name: str, backports: bool) -> None:
    found = select_distribution(parse_os_release(text))
    assert (found.name, found.backports) == (name, backports)
    assert "qemu-system-x86" in found.packages


def test_an_unknown_distribution_is_told_which_are_known() -> None:
    with pytest.raises(NotFound, match=r"fedora 41; it knows Debian 12, Debian 13, Ubuntu 24\.04"):
        select_distribution({"ID": "fedora", "VERSION_ID": "41"})


def test_the_first_stanza_names_the_newest_kernel() -> None:
    shown = (
        "Package: linux-image-amd64\nVersion: 6.12.95-1~bpo12+1\n"
        "Depends: linux-image-6.12.95+deb12-amd64 (= 6.12.95-1~bpo12+1)\n\n"
        "Package: linux-image-amd64\nVersion: 6.1.1-1\nDepends: linux-image-6.1.0-1-amd64\n"
    )
    assert newest_kernel(shown) == "linux-image-6.12.95+deb12-amd64"
    ubuntu = "Depends: linux-image-6.8.0-31-generic, linux-modules-extra-6.8.0-31-generic, wireless"
    assert newest_kernel(ubuntu) == "linux-image-6.8.0-31-generic"


def test_a_meta_package_without_a_kernel_is_refused() -> None:
    with pytest.raises(Conflict, match="depends on no kernel"):
        newest_kernel("Package: linux-image-amd64\n")


def test_no_service_starts_and_nothing_is_left(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with no_service_starts(policy):
        assert policy.read_text() == FORBID
        assert policy.stat().st_mode & 0o111
    assert list(tmp_path.iterdir()) == []


def test_a_policy_that_was_there_comes_back(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(RuntimeError), no_service_starts(policy):
        raise RuntimeError
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert [path.name for path in tmp_path.iterdir()] == ["policy-rc.d"]


def test_a_policy_that_a_killed_installation_put_aside_comes_back(tmp_path: Path) -> None:
    policy, saved = tmp_path / "policy-rc.d", tmp_path / "policy-rc.d.before-lanekeeper"
    saved.write_text("mine")
    policy.write_text(FORBID)
    with no_service_starts(policy):
        assert saved.read_text() == "mine"
    assert policy.read_text() == "mine"
    assert not saved.exists()


def test_both_forms_of_apt_sources_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "etc/apt/sources.list.d"
    folder.mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list").write_text("deb http://a.example/ x main\n")
    (folder / "b.sources").write_text("Types: deb\nURIs: http://b.example/\nSuites: x\n")
    (folder / "c.list.disabled").write_text("deb http://c.example/ x main\n")
    found = [source.uris[0] for source in read_apt_sources(tmp_path)]
    assert found == ["http://a.example/", "http://b.example/"]
