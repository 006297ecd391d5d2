"""Huge pages as kernel arguments are pairs, of which the kernel takes the first of a size."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.boot.distribution import DEBIAN, RED_HAT_9, SYSTEMD_BOOT, Distribution, policy
from lanekeeper.domain.hostplan.boot_loader import with_arguments
from lanekeeper.domain.hostplan.huge_page_argument import pools_hold, taken, without_pools
from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid

TWO = ("hugepagesz=2M", "hugepages=8", "hugepagesz=1G", "hugepages=32")


@pytest.mark.parametrize(
    ("wanted", "given", "holds"),
    [
        ("hugepagesz=1G hugepages=32", "hugepagesz=1G hugepages=16 hugepages=32", False),
        ("hugepagesz=1G hugepages=16", "hugepagesz=1G hugepages=16 hugepages=32", True),
        ("hugepagesz=1G hugepages=4", "hugepagesz=2M hugepages=4 hugepagesz=1G", False),
        ("hugepagesz=1G hugepages=4", "hugepagesz=1024M hugepages=4", True),
        ("hugepagesz=1G hugepages=4", "default_hugepagesz=1G hugepagesz=1G hugepages=4", True),
        ("hugepagesz=1G hugepages=8", "default_hugepagesz=1G hugepages=4 hugepages=8", False),
        ("default_hugepagesz=2M", "default_hugepagesz=1G default_hugepagesz=2M", False),
        ("hugepages=4", "hugepagesz=2M hugepages=4", False),
        ("hugepagesz=1G hugepages=4", "hugepagesz=1GB hugepages=4", True),
        ("hugepagesz=1G hugepages=4", "hugepagesz=0x40000000 hugepages=4", True),
        (
            "hugepagesz=1G hugepages=4",
            "hugepagesz=huge hugepages=8 hugepagesz=1G hugepages=4",
            True,
        ),
        ("hugepages=4", "hugepagesz=3M hugepages=8 hugepages=4", True),
        # What is named already stays the size that counts behind are of.
        (
            "hugepagesz=2M hugepages=4",
            "hugepagesz=1G hugepages=1 hugepagesz=2M default_hugepagesz=1G hugepages=4",
            True,
        ),
        # A count before all sizes is the default's, and wins.
        (
            "default_hugepagesz=1G hugepages=4",
            "hugepages=4 hugepagesz=1G hugepages=8 default_hugepagesz=1G",
            True,
        ),
        (
            "hugepagesz=1G hugepages=8",
            "default_hugepagesz=1G hugepages=0 hugepagesz=2M hugepages=1 hugepagesz=1G hugepages=8",
            True,
        ),
    ],
)
def test_a_count_is_of_the_size_before_it(wanted: str, given: str, holds: bool) -> None:
    assert pools_hold(tuple(wanted.split()), tuple(given.split())) is holds


@pytest.mark.parametrize(
    ("wanted", "given", "left"),
    [
        (
            "hugepagesz=1G hugepages=4",
            "hugepagesz=2M hugepages=8 ro",
            "hugepagesz=2M hugepages=8 ro",
        ),
        ("hugepagesz=1G hugepages=4", "hugepagesz=1GB hugepages=8 ro", "ro"),
        (
            "hugepagesz=1G hugepages=4",
            "default_hugepagesz=1G hugepages=8 hugepagesz=2M hugepages=3",
            "default_hugepagesz=1G hugepagesz=2M hugepages=3",
        ),
        (
            "default_hugepagesz=1G hugepages=4",
            "default_hugepagesz=2M hugepagesz=2M hugepages=64",
            "hugepagesz=2M hugepages=64",
        ),
        (
            "default_hugepagesz=1G hugepages=4",
            "hugepages=64 default_hugepagesz=2M",
            "hugepagesz=2M hugepages=64",
        ),
        (
            "default_hugepagesz=1G",
            "hugepages=5 hugepagesz=1G hugepages=16",
            "hugepagesz=1G hugepages=16",
        ),
        ("hugepages=4", "default_hugepagesz=1G hugepages=8", "default_hugepagesz=1G"),
    ],
)
def test_what_stays_means_what_it_meant_and_what_is_wanted_holds(
    wanted: str, given: str, left: str
) -> None:
    asked, his = tuple(wanted.split()), tuple(given.split())
    assert without_pools(asked, his) == tuple(left.split())
    now = with_arguments(his, asked)
    assert pools_hold(asked, now)
    assert pools_hold(tuple(word for word in left.split() if "default" not in word), now)


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("hugepages=1 quiet hugepages=2", "hugepages=1 quiet"),
        ("default_hugepagesz=1G default_hugepagesz=2M", "default_hugepagesz=1G"),
        ("hugepagesz=1G hugepagesz=1G hugepages=3", "hugepagesz=1G"),
        (
            "default_hugepagesz=2M hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=4",
            "default_hugepagesz=2M hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=4",
        ),
        (
            "hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=4 hugepagesz=1G hugepages=8",
            "hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=4",
        ),
    ],
)
def test_what_the_kernel_passes_over_is_left_out(given: str, left: str) -> None:
    assert taken(given.split()) == tuple(left.split())


@pytest.mark.parametrize(
    "words",
    [
        ("hugepagesz=1G", "hugepages=16", "hugepages=32"),
        ("hugepagesz=1G", "hugepages=16", "hugepagesz=2M", "hugepagesz=1G", "hugepages=32"),
    ],
)
def test_a_count_that_the_kernel_would_pass_over_is_no_policy(words: tuple[str, ...]) -> None:
    with pytest.raises(PolicyInvalid, match="hugepages=32 does nothing"):
        policy(*words)


@pytest.mark.parametrize("tree", [RED_HAT_9, SYSTEMD_BOOT], ids=["grubby", "systemd-boot"])
def test_the_pair_of_a_size_is_replaced_and_comes_back(tmp_path: Path, tree: str) -> None:
    his = "ro hugepagesz=1G hugepages=16 hugepagesz=2M hugepages=32"
    host = Distribution(tmp_path, tree.replace("ro  quiet", his).replace("rw iommu=nopt", his))
    before = host.state()
    host.apply("hugepagesz=1G", "hugepages=32")
    entry = "boot/loader/entries/1-5.14.conf"
    entry = entry if tree == RED_HAT_9 else "efi/loader/entries/1-6.12.conf"
    assert host.text(entry).endswith("ro hugepagesz=2M hugepages=32 hugepagesz=1G hugepages=32\n")
    assert host.plan("hugepagesz=1G", "hugepages=32").is_empty
    host.rollback()
    assert host.state() == before


def test_a_count_in_grub_s_settings_is_refused_and_ours_is_replaced(tmp_path: Path) -> None:
    his = DEBIAN.replace('console=ttyS0"\n', 'hugepagesz=1G hugepages=16"\n')
    (refusal,) = Distribution(tmp_path / "his", his).plan("hugepagesz=1G", "hugepages=32").refusals
    assert refusal.code == "boot-argument-overridden"
    assert "/etc/default/grub.d/50-cloud.cfg:1 has hugepagesz=1G hugepages=16" in refusal.reason
    host = Distribution(tmp_path / "ours", DEBIAN)
    host.apply("hugepagesz=1G", "hugepages=16")
    host.apply(*TWO)
    assert host.text("etc/default/grub.d/90-lanekeeper.cfg").count("hugepages=") == 2
    assert host.plan(*TWO).is_empty
