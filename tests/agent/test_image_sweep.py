from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha512
from pathlib import Path

import pytest

from agent.orders_of import server, server_id
from lanekeeper.agent.image_sweep import ImageSweep
from lanekeeper.config.image_cache import ImageCacheManager
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.hypervisor.guest_files import GuestDirectories
from lanekeeper.hypervisor.images import ImageCache
from lanekeeper.hypervisor.simulated import SimulatedHypervisor
from lanekeeper.protocol import Desired, ImageWanted

AT_ONCE = ImageCacheManager(remove_unused_original_minimum_age_seconds=0)


class Bench:
    """A host with images and disks, without an agent."""

    def __init__(self, home: Path) -> None:
        self.now_s = 0.0
        self.hypervisor = SimulatedHypervisor(
            home / "guests.json", SimulatedMachine(plant_lab(home / "machine"))
        )
        self.directories = GuestDirectories(home / "servers")
        self.images = ImageCache(home / "images", self.fetch)
        self.sweep = ImageSweep(self.images, self.directories, self.hypervisor, lambda: self.now_s)

    @contextmanager
    def fetch(self, image_id: str) -> Iterator[Iterator[bytes]]:
        yield iter([image_id.encode()])

    def image(self, text: str) -> tuple[ImageWanted, Path]:
        content = text.encode()
        image = ImageWanted(id=text, sha512=sha512(content).hexdigest(), size_bytes=len(content))
        return image, self.images.path(image)

    def disk(self, number: int, base: Path) -> None:
        home = self.directories.of(server_id(number))
        home.make()
        self.hypervisor.create_disk(home.disk, base, "raw", 1)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_a_disk_or_an_order_needs_stays_and_the_rest_goes(bench: Bench) -> None:
    (_, of_disk), (_, unused) = bench.image("of a disk"), bench.image("unused")
    wanted, paths = zip(*map(bench.image, ("image", "kernel", "ramdisk")), strict=True)
    bench.disk(7, of_disk)  # of a guest that is named nowhere, so that runs on
    bench.directories.of(server_id(8)).make()  # of one whose disk is not laid out yet
    image, kernel, ramdisk = wanted
    desired = Desired(
        generation=1,
        mark="a",
        servers=[server(1, image=image), server(2, kernel=kernel, ramdisk=ramdisk)],
    )
    bench.sweep.run(AT_ONCE, lambda: desired)
    assert all(path.exists() for path in (of_disk, *paths))
    assert not unused.exists()
    bench.directories.remove(server_id(7))
    bench.sweep.run(AT_ONCE, lambda: Desired(generation=2, mark="b"))
    assert not any(path.exists() for path in (of_disk, *paths))


def test_nothing_goes_while_orders_are_not_known_or_a_disk_is_not_understood(
    bench: Bench,
) -> None:
    _, unused = bench.image("unused")
    bench.sweep.run(AT_ONCE, lambda: None)
    assert unused.exists()
    bench.disk(1, unused)
    disk = bench.directories.of(server_id(1)).disk
    disk.write_text("half a disk")
    bench.sweep.run(AT_ONCE, lambda: Desired(generation=1, mark="a"))
    assert unused.exists()


@pytest.mark.parametrize(
    ("rules", "looks"),
    [
        (ImageCacheManager(), [0.0, 2400.0, 4800.0]),
        (ImageCacheManager(manager_interval=0), [60.0 * number for number in range(81)]),
        (ImageCacheManager(manager_interval=-1), []),
        (ImageCacheManager(remove_unused_base_images=False), []),
    ],
)
def test_it_looks_as_often_as_it_is_told_to(
    bench: Bench, rules: ImageCacheManager, looks: list[float]
) -> None:
    found = []
    for bench.now_s in (10.0 * number for number in range(481)):
        if bench.sweep.is_due(rules):
            found.append(bench.now_s)
    assert found == looks
