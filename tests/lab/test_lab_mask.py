"""What a lab host may see of the outer machine."""

from __future__ import annotations

from pathlib import Path

from lanekeeper.lab.mask import plan, read_private_files
from lanekeeper.lab.mounting import Mount, parse_mountinfo

MOUNTS = [
    Mount(Path("/"), "ext4"),
    Mount(Path("/proc"), "proc"),
    Mount(Path("/usr"), "ext4"),
    Mount(Path("/home"), "xfs"),
    Mount(Path("/net/others"), "nfs4"),
    Mount(Path("/vol"), "tmpfs"),
    Mount(Path("/run/user/0"), "tmpfs"),
]


def test_disks_are_shown_and_kernel_interfaces_homes_and_shares_are_not() -> None:
    view = plan(MOUNTS, [], [])
    assert view.shown == (Path("/usr"), Path("/vol"))


def test_homes_and_what_runs_are_covered() -> None:
    folders = set(map(str, plan(MOUNTS, [], []).folders))
    assert {"/root", "/home", "/proc", "/run", "/tmp", "/etc/ssl/private"} <= folders


def test_the_projects_folder_is_opened_only_where_it_is_covered() -> None:
    opened = [Path("/root/src/lanekeeper"), Path("/vol/clone"), Path("/home/a/.venv")]
    assert plan(MOUNTS, [], opened).opened == (Path("/home/a/.venv"), Path("/root/src/lanekeeper"))


def test_files_below_covered_folders_need_no_cover_of_their_own() -> None:
    files = [Path("/etc/shadow"), Path("/root/.netrc")]
    assert plan(MOUNTS, files, []).files == (Path("/etc/shadow"),)


def test_private_files_are_found_and_public_ones_are_not(tmp_path: Path) -> None:
    for name in ("ssh/ssh_host_rsa_key", "ssh/ssh_host_rsa_key.pub", "shadow", "shadow-", "passwd"):
        path = tmp_path / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = [str(path.relative_to(tmp_path)) for path in read_private_files(tmp_path)]
    assert found == ["etc/shadow", "etc/shadow-", "etc/ssh/ssh_host_rsa_key"]


def test_what_others_may_not_read_in_etc_is_private_whatever_its_name(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    for name, mode in (("any/service.conf", 0o640), ("any/public.conf", 0o644), ("cni/net", 0o644)):
        path = etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(mode)
    (etc / "cni").chmod(0o700)
    (etc / "link").symlink_to("any/service.conf")
    found = [str(path.relative_to(etc)) for path in read_private_files(tmp_path)]
    assert found == ["any/service.conf", "cni/net"]


def test_folders_of_openstack_and_of_lanekeeper_are_covered() -> None:
    folders = set(map(str, plan(MOUNTS, [], []).folders))
    assert {
        "/etc/nova",
        "/etc/neutron",
        "/etc/ceph",
        "/etc/kolla",
        "/var/lib/lanekeeper",
    } <= folders


def test_mountinfo_is_read_with_and_without_optional_fields() -> None:
    text = (
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "30 22 0:5 / /mnt/a\\040b rw - tmpfs none rw\n"
    )
    assert list(parse_mountinfo(text)) == [
        Mount(Path("/"), "ext4"),
        Mount(Path("/mnt/a b"), "tmpfs"),
    ]
